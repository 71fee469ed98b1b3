"""Speech segments: where in a recording somebody speaks, cut at pauses.

Works on a stream: a segment is given out as soon as it has ended, and only the samples of the
current one are kept.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from sorigeul.base.errors import UserError
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.voice_activity import WINDOW, ActivityBlock, VoiceActivity

_LESS_TO_CONTINUE = 0.15  # below the threshold: as probable as this, speech goes on
_MIN_SPEECH = 4  # windows; a shorter sound is no speech
_PADDING = 0.2  # seconds kept after speech
_WINDOWS_PER_SECOND = SAMPLE_RATE / WINDOW
_SMOOTHING = 5  # windows averaged to find the quietest place; the closure of a plosive is shorter
_MIN_LIMIT = 4.0  # seconds; a cut needs room to be chosen in, and to overlap
_MAX_LIMIT = 30.0  # seconds
_PAUSE_DEPTH = 18.0  # dB below the speech around it; a place as quiet as this is a pause
OVERLAP = 1.0
"""seconds that two segments share before and after a cut without a pause"""


@dataclass(frozen=True)
class SegmentLimits:
    """How long segments are, and what counts as speech and as a pause.

    Raises UserError for values that make no sense.
    """

    max_seconds: float = 15.0
    """longest segment: what the model has heard in training"""
    max_pause: float = 0.7
    """a longer pause, in seconds, ends a segment"""
    padding: float = _PADDING
    """seconds kept before speech"""
    threshold: float = 0.5
    """probability from which a window is speech"""

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0.05 <= self.max_pause <= 10:
            raise UserError(f"max_pause is {self.max_pause}, but must be from 0.05 to 10 seconds")
        if not 0 <= self.padding <= OVERLAP:
            raise UserError(f"padding is {self.padding}, but must be from 0 to {OVERLAP} seconds")
        if not _LESS_TO_CONTINUE < self.threshold < 1:
            raise UserError(
                f"threshold is {self.threshold}, but must be above {_LESS_TO_CONTINUE} and below 1"
            )

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
        self._padding = round(limits.padding * SAMPLE_RATE)

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
        return max(first * WINDOW - self._padding, self._last_end)

    @property
    def running(self) -> SpeechSegment | None:
        """What has been heard of a segment that has not ended, up to its last speech so far.

        None between segments, and as long as a sound may be too short to be speech. A later look
        at the same segment has the same `start`.
        """
        segment = self._open
        if segment is None or not self._is_speech(segment):
            return None
        start = self._start(segment)
        end = self._end(segment)
        samples = self._kept.between(start - self._overlap, end)
        return SpeechSegment(samples, start, end, self._overlap)

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
            if self._open is None and probability >= self.limits.threshold:
                self._open = _OpenSegment(self._windows, self.limits.threshold)
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
        if self._is_speech(segment):
            yield self._make(segment, self._end(segment), overlap_after=0)
        self._overlap = 0

    def _cut(self, segment: "_OpenSegment") -> Iterator[SpeechSegment]:
        """End the open segment at its quietest place; what follows is the next one."""
        place, is_pause = segment.quietest_place()
        end = (segment.first + place) * WINDOW
        overlap = 0 if is_pause else round(OVERLAP * SAMPLE_RATE)
        yield self._make(segment, end, overlap)
        probabilities, levels = segment.probabilities[place:], segment.levels[place:]
        # The first cut may be nearer to the beginning of the recording than the overlap is long.
        self._open, self._overlap = None, min(overlap, end)
        self._windows = segment.first + place
        if overlap:  # it goes on in the middle of speech
            self._open = _OpenSegment(self._windows, self.limits.threshold)
        yield from self._advance(probabilities, levels)

    def _is_speech(self, segment: "_OpenSegment") -> bool:
        """Whether it is long enough; what goes on after a cut always is."""
        return segment.speech_windows >= _MIN_SPEECH or self._overlap > 0

    def _start(self, segment: "_OpenSegment") -> int:
        start = segment.first * WINDOW
        return start if self._overlap else max(start - self._padding, self._last_end, 0)

    def _end(self, segment: "_OpenSegment") -> int:
        end = (segment.first + segment.length) * WINDOW + round(_PADDING * SAMPLE_RATE)
        return min(end, self.samples)

    def _make(self, segment: "_OpenSegment", end: int, overlap_after: int) -> SpeechSegment:
        start = self._start(segment)
        samples = self._kept.between(start - self._overlap, end + overlap_after).copy()
        self._last_end = end
        self.speech_samples += end - start
        return SpeechSegment(samples, start, end, self._overlap, overlap_after)

    def _forget(self) -> None:
        """Drop the samples that no later segment needs."""
        first = self._windows if self._open is None else self._open.first
        self._kept.drop_before(first * WINDOW - round(OVERLAP * SAMPLE_RATE))


class _OpenSegment:
    """A segment whose end has not been heard yet, by its windows."""

    def __init__(self, first: int, threshold: float) -> None:
        self.first = first
        self._begin, self._continue = threshold, threshold - _LESS_TO_CONTINUE
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
        self._speaking = probability >= (self._continue if self._speaking else self._begin)
        if self._speaking:
            self.length = len(self.levels)
            self.speech_windows += probability >= self._begin

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
        is_pause = probabilities[place] < self._continue or depths[place] > _PAUSE_DEPTH
        return place, bool(is_pause)


class _KeptSamples:
    """The last samples of a stream, by their positions in it."""

    def __init__(self) -> None:
        self._start = 0
        self._samples = np.empty(0, np.float32)

    def append(self, samples: Samples) -> None:
        self._samples = np.concatenate((self._samples, samples))

    def between(self, start: int, end: int) -> Samples:
        """The samples from `start` to before `end`, in memory that holds the others too."""
        return self._samples[start - self._start : end - self._start]

    def drop_before(self, start: int) -> None:
        if start > self._start:
            self._samples = self._samples[start - self._start :]
            self._start = start
