"""A recording that is transcribed while it is read."""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
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


Submit = Callable[[Sequence[SpeechSegment]], "Future[list[RecognizedSegment]]"]
"""begins to recognise a batch of segments"""


class TranscriptionStream:
    """The segments of a recording, as they are recognised.

    It can be iterated over once. Segments come in the order of time; where channels are transcribed
    one by one, too. Afterwards `transcription` has the whole. If the recording turns out to be
    damaged, what was heard before is recognised; then the iteration raises AudioError.
    """

    def __init__(
        self,
        audio: AudioBlocks,
        submit: Submit,
        vocabulary: Vocabulary,
        limits: SegmentLimits,
        batch_seconds: float,
        ahead: int = 0,
    ) -> None:
        """`ahead` batches of each channel may be under way while more of it is read."""
        self._audio, self._vocabulary = audio, vocabulary
        self._submit, self._batch_seconds, self._ahead = submit, batch_seconds, ahead
        self._segmenters = [Segmenter(limits) for _ in audio.channels]
        self._segments: list[Segment] = []
        self._damage: AudioError | None = None

    def __iter__(self) -> Iterator[Segment]:
        channels = [
            _Channel(
                name, segmenter, self._submit, self._vocabulary, self._batch_seconds, self._ahead
            )
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
        submit: Submit,
        vocabulary: Vocabulary,
        batch_seconds: float,
        ahead: int,
    ) -> None:
        self.name = name
        self._segmenter, self._submit, self._ahead = segmenter, submit, ahead
        self._joiner = OverlapJoiner(vocabulary)
        self._max_batch_seconds = batch_seconds
        self._batch_seconds = 0.0  # the first segment is recognised at once
        self._pending: list[SpeechSegment] = []
        self._under_way: deque[tuple[int, Future[list[RecognizedSegment]]]] = deque()
        """batches that are being recognised, each with the sample at which it begins"""

    @property
    def settled(self) -> float:
        """Seconds before which no further segment of this channel begins."""
        if self._joiner.held is not None:
            return self._joiner.held.segment.start
        if self._under_way:
            return self._under_way[0][0] / SAMPLE_RATE
        first = self._pending[0].start if self._pending else self._segmenter.settled
        return first / SAMPLE_RATE

    def feed(self, samples: Samples) -> Iterator[Segment]:
        """The next samples (n,) -> the segments that are ready."""
        for segment in self._segmenter.feed(samples):
            self._pending.append(segment)
            if self._seconds() > self._batch_seconds:
                yield from self._recognize_pending(self._ahead)
        # In a long silence, what was said before it does not wait for more.
        if self._pending:
            waited = (self._segmenter.samples - self._pending[0].start) / SAMPLE_RATE
            if waited > self._max_batch_seconds:
                yield from self._recognize_pending(self._ahead)
        yield from self._recognized(self._ahead)

    def finish(self) -> Iterator[Segment]:
        """The last segments."""
        self._pending += self._segmenter.finish()
        yield from self._recognize_pending(0)
        yield from map(self._named, self._joiner.finish())

    def _recognize_pending(self, ahead: int) -> Iterator[Segment]:
        """Begin with what is pending -> the segments of earlier batches, until `ahead` are left."""
        if self._pending:
            # Batches grow, so that the first text comes early and the rest is fast.
            self._batch_seconds = min(self._max_batch_seconds, 2 * self._seconds())
            self._under_way.append((self._pending[0].start, self._submit(self._pending)))
            self._pending = []
        yield from self._recognized(ahead)

    def _recognized(self, ahead: int) -> Iterator[Segment]:
        """The segments of batches that are done, or that more than `ahead` have come after."""
        while self._under_way and (len(self._under_way) > ahead or self._under_way[0][1].done()):
            segments = self._under_way[0][1].result()
            self._under_way.popleft()
            for segment in segments:
                yield from map(self._named, self._joiner.feed(segment))

    def _seconds(self) -> float:
        """Length of what is pending, with padding."""
        lengths = [len(segment.samples) for segment in self._pending]
        return len(lengths) * max(lengths) / SAMPLE_RATE

    def _named(self, segment: Segment) -> Segment:
        return replace(segment, channel=self.name) if self.name else segment
