"""A recording of any length to text: segments of speech, their times, how sure the model is.

Knows how to put a trained model to use; nothing of training, formats of output, or servers.
"""

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Segment:
    """A stretch of speech and its text."""

    start: float
    """seconds from the beginning of the recording"""
    end: float
    text: str
    confidence: float
    """the model's probability of its characters (geometric mean), 0 to 1"""
    finished: bool
    """false where the model reached no end of the sentence: its text is not to be trusted"""
    characters: list[str]
    """the units spelled (U)"""
    alignment: Tensor
    """attention (U, S) over the listener's frames"""


@dataclass(frozen=True)
class Transcription:
    """What was said in a recording."""

    text: str
    segments: list[Segment]
    duration: float
    """seconds"""
    account: tuple[str, ...]
    """what was done to the sound to make it 16 kHz mono"""
    language: str = "ko"

    @property
    def confidence(self) -> float:
        """The model's probability of the characters of all segments (geometric mean)."""
        counts = [len(segment.characters) for segment in self.segments]
        logs = [math.log(max(segment.confidence, 1e-9)) for segment in self.segments]
        total = sum(count * log for count, log in zip(counts, logs, strict=True))
        return math.exp(total / sum(counts)) if sum(counts) else 0.0

    @property
    def finished(self) -> bool:
        """Whether the model reached the end of the sentence in every segment."""
        return all(segment.finished for segment in self.segments)
