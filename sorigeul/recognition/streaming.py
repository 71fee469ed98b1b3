"""A recording that is transcribed while it is read."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from sorigeul.recognition.overlaps import OverlapJoiner, RecognizedSegment
from sorigeul.recognition.transcription import Segment, Transcription
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.sound.segments import Segmenter, SegmentLimits, SpeechSegment
from sorigeul.text.vocabulary import Vocabulary


class AudioBlocks(Protocol):
    """A recording that is decoded block by block, such as an `AudioStream`."""

    channels: tuple[str, ...]
    """the name of each channel, empty if there is one only"""

    @property
    def account(self) -> tuple[str, ...]:
        """The steps from the file to the samples; complete once the iteration has ended."""

    def __iter__(self) -> Iterator[Samples]:
        """Yield float32 (C, n) at 16 kHz; raises AudioError if the recording is damaged."""


Recognize = Callable[[Sequence[SpeechSegment]], list[RecognizedSegment]]


class TranscriptionStream:
    """The segments of a recording, as they are recognised.

    It can be iterated over once. Segments come in the order of time; where channels are transcribed
    one by one, too. Afterwards `transcription` has the whole. If the recording turns out to be
    damaged, what was heard before is recognised; then the iteration raises AudioError.
    """

    def __init__(
        self,
        audio: AudioBlocks,
        recognize: Recognize,
        vocabulary: Vocabulary,
        limits: SegmentLimits,
        batch_seconds: float,
    ) -> None:
        self._audio, self._vocabulary = audio, vocabulary
        self._recognize, self._batch_seconds = recognize, batch_seconds
        self._segmenters = [Segmenter(limits) for _ in audio.channels]
        self._segments: list[Segment] = []
        self._damage: AudioError | None = None

    def __iter__(self) -> Iterator[Segment]:
        channels = [
            _Channel(name, segmenter, self._recognize, self._vocabulary, self._batch_seconds)
            for name, segmenter in zip(self._audio.channels, self._segmenters, strict=True)
        ]
        for segment in self._in_order(channels):
            self._segments.append(segment)
            yield segment
        if self._damage is not None:
            raise self._damage

    def transcription(self) -> Transcription:
        """All segments, once the iteration has ended, if only by damage."""
        duration = self._segmenters[0].samples / SAMPLE_RATE
        findings = [
            f"{name}: {finding}" if name else finding
            for name, segmenter in zip(self._audio.channels, self._segmenters, strict=True)
            for finding in segmenter.account()
        ]
        damage = () if self._damage is None else (str(self._damage),)
        account = (*self._audio.account, *findings, *damage)
        return Transcription.from_segments(self._segments, duration, account)

    def _undamaged_blocks(self) -> Iterator[Samples]:
        try:
            yield from self._audio
        except AudioError as error:
            self._damage = error

    def _in_order(self, channels: Sequence["_Channel"]) -> Iterator[Segment]:
        """The segments of all channels, merged: a segment waits for earlier ones of the others."""
        waiting: list[tuple[float, int, int, Segment]] = []
        count = 0
        for block in self._undamaged_blocks():
            for number, (channel, samples) in enumerate(zip(channels, block, strict=True)):
                for segment in channel.feed(samples):
                    heapq.heappush(waiting, (segment.start, number, count, segment))
                    count += 1
            settled = min(channel.settled for channel in channels)
            while waiting and waiting[0][0] <= settled:
                yield heapq.heappop(waiting)[-1]
        for number, channel in enumerate(channels):
            for segment in channel.finish():
                heapq.heappush(waiting, (segment.start, number, count, segment))
                count += 1
        while waiting:
            yield heapq.heappop(waiting)[-1]


class _Channel:
    """One channel of a recording."""

    def __init__(
        self,
        name: str,
        segmenter: Segmenter,
        recognize: Recognize,
        vocabulary: Vocabulary,
        batch_seconds: float,
    ) -> None:
        self.name = name
        self._segmenter, self._recognize = segmenter, recognize
        self._joiner = OverlapJoiner(vocabulary)
        self._max_batch_seconds = batch_seconds
        self._batch_seconds = 0.0  # the first segment is recognised at once
        self._pending: list[SpeechSegment] = []

    @property
    def settled(self) -> float:
        """Seconds before which no further segment of this channel begins."""
        if self._joiner.held is not None:
            return self._joiner.held.segment.start
        first = self._pending[0].start if self._pending else self._segmenter.settled
        return first / SAMPLE_RATE

    def feed(self, samples: Samples) -> Iterator[Segment]:
        """The next samples (n,) -> the segments that are ready."""
        for segment in self._segmenter.feed(samples):
            self._pending.append(segment)
            if self._seconds() > self._batch_seconds:
                yield from self._recognize_pending()
        # In a long silence, what was said before it does not wait for more.
        if self._pending:
            waited = (self._segmenter.samples - self._pending[0].start) / SAMPLE_RATE
            if waited > self._max_batch_seconds:
                yield from self._recognize_pending()

    def finish(self) -> Iterator[Segment]:
        """The last segments."""
        self._pending += self._segmenter.finish()
        yield from self._recognize_pending()
        yield from map(self._named, self._joiner.finish())

    def _recognize_pending(self) -> Iterator[Segment]:
        if not self._pending:
            return
        # Batches grow, so that the first text comes early and the rest is fast.
        self._batch_seconds = min(self._max_batch_seconds, 2 * self._seconds())
        recognized = self._recognize(self._pending)
        self._pending = []
        for segment in recognized:
            yield from map(self._named, self._joiner.feed(segment))

    def _seconds(self) -> float:
        """Length of what is pending, with padding."""
        lengths = [len(segment.samples) for segment in self._pending]
        return len(lengths) * max(lengths) / SAMPLE_RATE

    def _named(self, segment: Segment) -> Segment:
        return replace(segment, channel=self.name) if self.name else segment
