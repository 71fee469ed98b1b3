"""Recognition of a running stream: text while somebody speaks, and final text after each segment.

The final segments are those of `Recognizer.transcribe` for the same samples. Does not know where
the samples come from, nor on which machine they are recognised.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from copy import copy
from dataclasses import dataclass, replace

import numpy as np

from sorigeul.recognition.overlaps import OverlapJoiner, RecognizedSegment
from sorigeul.recognition.transcription import Segment
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.segments import Segmenter, SegmentLimits, SpeechSegment
from sorigeul.text.vocabulary import Vocabulary

Recognize = Callable[[Sequence[SpeechSegment]], list[RecognizedSegment]]

_BETWEEN_PROVISIONALS = SAMPLE_RATE // 2  # samples
_WINDOW = SAMPLE_RATE // 50  # samples over which loudness is measured
_MUCH_QUIETER = 10**-2.5  # of the power of speech: no speech
_AFTER_SPEECH = SAMPLE_RATE // 5  # samples kept after it, as the segmenter does

StartProvisional = Callable[[SpeechSegment], Future[list[RecognizedSegment]] | None]
"""begins to recognise a segment, without waiting; None if there is no time for it now"""


@dataclass(frozen=True)
class SpeechStarted:
    """Somebody began to speak."""

    seconds: float
    """from the beginning of the stream"""


@dataclass(frozen=True)
class SpeechStopped:
    """There was a pause, or the stream ended; the last final text of this speech follows."""

    seconds: float
    """from the beginning of the stream"""


@dataclass(frozen=True)
class ProvisionalText:
    """The text of the running speech that is not final yet; it replaces the one before."""

    text: str


@dataclass(frozen=True)
class FinalSegment:
    """A segment whose text does not change any more. It ends all provisional text so far."""

    segment: Segment
    ends_speech: bool
    """false if more of the same speech follows, which was too long for one segment"""


LiveEvent = SpeechStarted | SpeechStopped | ProvisionalText | FinalSegment


@dataclass(frozen=True, eq=False)
class _Provisional:
    """A look at the running segment that is being recognised."""

    start: int
    """where the segment begins, in samples of the stream"""
    result: Future[list[RecognizedSegment]]


class LiveTranscription:
    """Takes the samples of one stream as they come, and gives events in order.

    Speech is what lies between two pauses: `SpeechStarted`, then `ProvisionalText` and
    `FinalSegment` in turns, `SpeechStopped`, and what is final by that. The final segments do not
    depend on the size of the blocks. Only the samples of the running segment are kept.

    Provisional text comes at most every half second of sound, with the next samples after it is
    ready. While one is being recognised no other is begun, even if its segment has ended: a machine
    that cannot keep up leaves some out. The final segments wait for none of them.
    """

    def __init__(
        self,
        recognize: Recognize,
        vocabulary: Vocabulary,
        limits: SegmentLimits,
        start_provisional: StartProvisional | None = None,
    ) -> None:
        """`recognize` is waited for. Without `start_provisional` there is no provisional text."""
        self._recognize, self._start_provisional = recognize, start_provisional
        self._segmenter, self._joiner = Segmenter(limits), OverlapJoiner(vocabulary)
        self._longest = round(limits.max_seconds * SAMPLE_RATE)
        self._samples = 0  # heard so far
        self._unjudged = np.empty(0, np.float32)  # heard, but not by the speech detector yet
        self._provisional: _Provisional | None = None
        self._begun = self._told = 0  # how much had been heard, and spoken, at the last provisional
        self._text = ""  # of the last provisional
        self.speaking = False
        """whether speech has started and not stopped"""

    @property
    def seconds(self) -> float:
        """Length of what was heard so far."""
        return self._samples / SAMPLE_RATE

    def account(self) -> tuple[str, ...]:
        """What was taken for silence, as of `Segmenter.account`."""
        return self._segmenter.account()

    def feed(self, samples: Samples) -> Iterator[LiveEvent]:
        """The next samples (n,) at 16 kHz -> what happened."""
        self._samples += len(samples)
        for segment in self._segmenter.feed(samples):
            yield from self._ended(segment)
        heard = np.concatenate((self._unjudged, samples))
        self._unjudged = heard[len(heard) - (self._samples - self._segmenter.samples) :]
        yield from self._look_at_running()

    def finish(self) -> Iterator[LiveEvent]:
        """What the end of the stream settles."""
        for segment in self._segmenter.finish():
            yield from self._ended(segment)

    def _ended(self, speech: SpeechSegment) -> Iterator[LiveEvent]:
        """Recognise a segment that has ended."""
        yield from self._started(speech)
        self._text = ""
        if not speech.overlap_after:
            self.speaking = False
            yield SpeechStopped(speech.end / SAMPLE_RATE)
        (recognized,) = self._recognize([speech])
        final = list(self._joiner.feed(recognized))
        for segment in final:
            yield FinalSegment(segment, not self.speaking and segment is final[-1])

    def _started(self, speech: SpeechSegment) -> Iterator[LiveEvent]:
        if not self.speaking:
            self.speaking = True
            yield SpeechStarted(speech.start / SAMPLE_RATE)

    def _look_at_running(self) -> Iterator[LiveEvent]:
        """Say that speech has started, and what it is so far."""
        running = self._segmenter.running
        if running is None:
            return
        yield from self._started(running)
        yield from self._provisional_text(running)
        if self._start_provisional is None or self._provisional is not None:
            return
        speech = self._with_unjudged(running)
        if self._samples - self._begun < _BETWEEN_PROVISIONALS or speech.end <= self._told:
            return
        self._begun, self._told = self._samples, speech.end
        result = self._start_provisional(speech)
        if result is not None:
            self._provisional = _Provisional(speech.start, result)
            yield from self._provisional_text(running)  # it may be ready at once

    def _with_unjudged(self, running: SpeechSegment) -> SpeechSegment:
        """The running segment, with what follows if it seems to go on: the detector is late."""
        if running.end < self._segmenter.samples:
            return running
        following = self._unjudged[: _until_quiet(running.samples, self._unjudged)]
        samples = np.concatenate((running.samples, following))[: self._longest]
        end = running.start + len(samples) - running.overlap_before
        return replace(running, samples=samples, end=end)

    def _provisional_text(self, running: SpeechSegment) -> Iterator[LiveEvent]:
        """The text of the last look at the running segment, if it is ready and new."""
        provisional = self._provisional
        if provisional is None or not provisional.result.done():
            return
        self._provisional = None
        if provisional.start != running.start:  # its segment has ended
            return
        (recognized,) = provisional.result.result()
        joiner = copy(self._joiner)  # the text before it may wait for this one
        segments = [*joiner.feed(recognized), *joiner.finish()]
        text = " ".join(segment.text for segment in segments if segment.text)
        if text and text != self._text:
            self._text = text
            yield ProvisionalText(text)


def _until_quiet(speech: Samples, following: Samples) -> int:
    """How many of the samples after speech to take: up to the last that is about as loud.

    A model that hears speech and then a second of silence may make up words for it.
    """
    loudest = np.percentile(_powers(speech), 90)
    loud = np.flatnonzero(_powers(following) > _MUCH_QUIETER * loudest)
    return int(loud[-1] + 1) * _WINDOW + _AFTER_SPEECH if len(loud) else 0


def _powers(samples: Samples) -> Samples:
    """The power of each whole window (W,)."""
    windows = samples[: len(samples) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    return np.asarray((windows**2).mean(axis=1), np.float32)
