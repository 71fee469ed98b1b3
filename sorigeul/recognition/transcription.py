"""`Transcription`: the text of a recording, its segments, times and confidence."""

import math
from dataclasses import dataclass

from torch import Tensor

_MIN_CONFIDENCE = 1e-9  # so that its logarithm is finite


@dataclass(frozen=True)
class Segment:
    """A stretch of speech and its text of U characters."""

    start: float
    """seconds from the beginning of the recording"""
    end: float
    """seconds from the beginning of the recording"""
    text: str
    confidence: float
    """geometric mean of the model's probabilities of the characters, 0 to 1"""
    finished: bool
    """whether the model reached the end of the sentence; otherwise the text is not reliable"""
    characters: list[str]
    """the vocabulary units of the text (U)"""
    alignment: Tensor
    """attention of each character over the listener frames, in the order of time (U, S)"""


@dataclass(frozen=True)
class Transcription:
    """The text of a recording."""

    text: str
    segments: list[Segment]
    duration: float
    """seconds"""
    account: tuple[str, ...]
    """the steps that turned the recording into 16 kHz mono, as in `sound.audio.Recording`"""
    language: str = "ko"

    @property
    def confidence(self) -> float:
        """Geometric mean of the model's probabilities of all characters, 0 without characters."""
        counts = [len(segment.characters) for segment in self.segments]
        logs = [math.log(max(segment.confidence, _MIN_CONFIDENCE)) for segment in self.segments]
        total = sum(count * log for count, log in zip(counts, logs, strict=True))
        return math.exp(total / sum(counts)) if sum(counts) else 0.0

    @property
    def finished(self) -> bool:
        """Whether the model reached the end of the sentence in every segment."""
        return all(segment.finished for segment in self.segments)
