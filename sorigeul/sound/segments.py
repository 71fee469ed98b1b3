"""Speech segments: where in a recording somebody speaks, cut at pauses.

Works on a stream: a segment is given out as soon as it has ended, and only the samples of the
current one are kept.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.voice_activity import WINDOW, ActivityBlock, VoiceActivity

_BEGIN = 0.5  # probability from which a window is speech
_CONTINUE = 0.35  # probability from which it is while somebody speaks
_MIN_SPEECH = 4  # windows; a shorter sound is no speech
_PADDING = round(0.2 * SAMPLE_RATE)  # samples kept before and after speech
_WINDOWS_PER_SECOND = SAMPLE_RATE / WINDOW
_SMOOTHING = 5  # windows averaged to find the quietest place; the closure of a plosive is shorter
_MIN_LIMIT = 4.0  # seconds; a cut needs room to be chosen in, and to overlap
_MAX_LIMIT = 30.0  # seconds
_PAUSE_DEPTH = 18.0  # dB below the speech around it; a place as quiet as this is a pause
OVERLAP = 1.0
"""seconds that two segments share before and after a cut without a pause"""


@dataclass(frozen=True)
class SegmentLimits:
    """How long segments are."""

    max_seconds: float = 15.0
    """longest segment: what the model has heard in training"""
    max_pause: float = 0.7
    """a longer pause, in seconds, ends a segment"""

    @classmethod
    def for_longest_utterance(cls, seconds: float | None) -> "SegmentLimits":
        """Segments as long as the longest utterance of a training; None if it is not known."""
        if seconds is None:
            return cls()
        return cls(max_seconds=min(max(seconds, _MIN_LIMIT), _MAX_LIMIT))


@dataclass(frozen=True, eq=False)
class SpeechSegment:
    """A stretch of speech."""

    samples: Samples
    """(N,) at 16 kHz, with `overlap_before` and `overlap_after`"""
    start: int
    """where it begins, in samples of the recording, without the overlap"""
    end: int
    """one after its last sample, without the overlap"""
    overlap_before: int = 0
    """samples before `start`, shared with the segment before: there was no pause to cut at"""
    overlap_after: int = 0

    @property
    def overlaps(self) -> bool:
        """Whether it shares samples with a neighbour."""
        return self.overlap_before > 0 or self.overlap_after > 0


@dataclass(frozen=True, eq=False)
class SegmentedRecording:
    """A whole recording in segments."""

    segments: list[SpeechSegment]
    duration: float
    """seconds"""
    account: tuple[str, ...]
    """what was taken for silence, as of `Segmenter.account`"""

    @classmethod
    def from_samples(
        cls, samples: Samples, limits: SegmentLimits | None = None
    ) -> "SegmentedRecording":
        """Find the speech segments of samples (N,) at 16 kHz."""
        segmenter = Segmenter(limits or SegmentLimits())
        segments = [*segmenter.feed(samples), *segmenter.finish()]
        return cls(segments, len(samples) / SAMPLE_RATE, segmenter.account())

    @property
    def speech_span(self) -> slice:
        """The samples from the first segment to the last; all of them if there is no speech."""
        if not self.segments:
            return slice(None)
        return slice(self.segments[0].start, self.segments[-1].end)


class Segmenter:
    """Finds the speech segments of one recording."""

    samples: int
    """length of what was heard so far"""
    speech_samples: int
    """length of the segments so far"""

    def __init__(self, limits: SegmentLimits) -> None:
        self.limits = limits
        self.samples = self.speech_samples = 0
        self._activity = VoiceActivity()
        self._kept = _KeptSamples()
        self._open: _OpenSegment | None = None
        self._last_end = 0  # sample where the segment before ended
        self._overlap = 0  # samples that the open segment shares with the one before
        self._windows = 0

    def feed(self, samples: Samples) -> Iterator[SpeechSegment]:
        """The next samples (n,) at 16 kHz -> the segments that have ended.

        The segments do not depend on how the recording is cut into blocks.
        """
        yield from self._judge(self._activity.feed(samples))

    def finish(self) -> Iterator[SpeechSegment]:
        """The last segment, which ends with the recording."""
        yield from self._judge(self._activity.finish())
        if self._open is not None:
            yield from self._close(self._open)

    @property
    def settled(self) -> int:
        """Position in samples before which no further segment begins."""
        first = self._windows if self._open is None else self._open.first
        return max(first * WINDOW - _PADDING, self._last_end)

    def _judge(self, blocks: Iterable[ActivityBlock]) -> Iterator[SpeechSegment]:
        for block in blocks:
            self._kept.append(block.samples)
            self.samples += len(block.samples)
            yield from self._advance(block.probabilities.tolist(), block.levels.tolist())
            self._forget()

    def account(self) -> tuple[str, ...]:
        """What was taken for silence, if it is worth a word."""
        silence = (self.samples - self.speech_samples) / SAMPLE_RATE
        if not self.speech_samples:
            return ("no speech found",)
        if silence > max(2.0, 0.5 * self.samples / SAMPLE_RATE):
            return (f"no speech in {silence:.1f} of {self.samples / SAMPLE_RATE:.1f} s",)
        return ()

    def _advance(self, probabilities: list[float], levels: list[float]) -> Iterator[SpeechSegment]:
        """Go through the next windows (W,)."""
        max_pause = round(self.limits.max_pause * _WINDOWS_PER_SECOND)
        for probability, level in zip(probabilities, levels, strict=True):
            if self._open is None and probability >= _BEGIN:
                self._open = _OpenSegment(self._windows)
            self._windows += 1
            if self._open is None:
                continue
            self._open.append(probability, level)
            if self._open.pause > max_pause:
                yield from self._close(self._open)
            elif len(self._open.levels) >= self._max_windows():
                yield from self._cut(self._open)

    def _max_windows(self) -> int:
        """The most windows of the open segment, so that it is not too long with its overlap."""
        return round(self.limits.max_seconds * _WINDOWS_PER_SECOND) - self._overlap // WINDOW

    def _close(self, segment: "_OpenSegment") -> Iterator[SpeechSegment]:
        """End the open segment after its last speech."""
        self._open = None
        if segment.speech_windows >= _MIN_SPEECH or self._overlap:
            end = min((segment.first + segment.length) * WINDOW + _PADDING, self.samples)
            yield self._make(segment, end, overlap_after=0)
        self._overlap = 0

    def _cut(self, segment: "_OpenSegment") -> Iterator[SpeechSegment]:
        """End the open segment at its quietest place; what follows is the next one."""
        place, is_pause = segment.quietest_place()
        end = (segment.first + place) * WINDOW
        overlap = 0 if is_pause else round(OVERLAP * SAMPLE_RATE)
        yield self._make(segment, end, overlap)
        probabilities, levels = segment.probabilities[place:], segment.levels[place:]
        self._open, self._overlap = None, overlap
        self._windows = segment.first + place
        if overlap:  # it goes on in the middle of speech
            self._open = _OpenSegment(self._windows)
        yield from self._advance(probabilities, levels)

    def _make(self, segment: "_OpenSegment", end: int, overlap_after: int) -> SpeechSegment:
        start = segment.first * WINDOW
        if not self._overlap:
            start = max(start - _PADDING, self._last_end, 0)
        samples = self._kept.between(start - self._overlap, end + overlap_after)
        self._last_end = end
        self.speech_samples += end - start
        return SpeechSegment(samples, start, end, self._overlap, overlap_after)

    def _forget(self) -> None:
        """Drop the samples that no later segment needs."""
        first = self._windows if self._open is None else self._open.first
        self._kept.drop_before(first * WINDOW - max(_PADDING, round(OVERLAP * SAMPLE_RATE)))


class _OpenSegment:
    """A segment whose end has not been heard yet, by its windows."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.probabilities: list[float] = []
        self.levels: list[float] = []
        self.length = 0  # windows up to the end of the last speech
        self.speech_windows = 0
        self._speaking = True

    @property
    def pause(self) -> int:
        """Windows since the last speech."""
        return len(self.levels) - self.length

    def append(self, probability: float, level: float) -> None:
        self.probabilities.append(probability)
        self.levels.append(level)
        self._speaking = probability >= (_CONTINUE if self._speaking else _BEGIN)
        if self._speaking:
            self.length = len(self.levels)
            self.speech_windows += probability >= _BEGIN

    def quietest_place(self) -> tuple[int, bool]:
        """The window around which it is quietest, and whether that is a pause.

        It is not in the first quarter, so that no segment gets very short. A window that the
        detector takes for silence counts as much quieter than one of speech.
        """
        kernel = np.ones(_SMOOTHING) / _SMOOTHING
        levels = np.convolve(self.levels, kernel, "same")
        probabilities = np.convolve(self.probabilities, kernel, "same")
        first = len(levels) // 4
        last = max(len(levels) - round(OVERLAP * _WINDOWS_PER_SECOND), first + 1)
        depths = np.percentile(levels, 90) - levels
        scores = depths[first:last] + 2 * _PAUSE_DEPTH * (1 - probabilities[first:last])
        place = first + int(scores.argmax())
        is_pause = probabilities[place] < _CONTINUE or depths[place] > _PAUSE_DEPTH
        return place, bool(is_pause)


class _KeptSamples:
    """The last samples of a stream, by their positions in it."""

    def __init__(self) -> None:
        self._start = 0
        self._samples = np.empty(0, np.float32)

    def append(self, samples: Samples) -> None:
        self._samples = np.concatenate((self._samples, samples))

    def between(self, start: int, end: int) -> Samples:
        """A copy of the samples from `start` to before `end`."""
        return self._samples[start - self._start : end - self._start].copy()

    def drop_before(self, start: int) -> None:
        if start > self._start:
            self._samples = self._samples[start - self._start :]
            self._start = start
