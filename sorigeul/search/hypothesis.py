"""The result of a search, a hypothesis, and the most characters that one may have."""

from dataclasses import dataclass

from torch import Tensor

from sorigeul.model.las import ListenAttendSpell, ListenerOutput

_MAX_CHARACTERS_PER_FRAME = 0.15  # 15 a second at 100 frames: half as fast again as anyone speaks
_EXTRA_CHARACTERS = 8


@dataclass(frozen=True)
class Hypothesis:
    """The text that a search found for one utterance: U characters over S listener frames."""

    tokens: list[int]
    """character ids without special tokens (U)"""
    probabilities: list[float]
    """the speller's probability of each character (U)"""
    alignment: Tensor
    """attention of each character over the valid listener frames (U, S)"""
    finished: bool
    """whether the search reached the end of the sentence; otherwise the text was cut off"""


def length_limits(model: ListenAttendSpell, encoded: ListenerOutput) -> Tensor:
    """More characters than anyone could speak in the duration of each utterance (B,).

    They end the search of a model that repeats itself.
    """
    feature_frames = encoded.lengths * model.config.reduction
    return (feature_frames * _MAX_CHARACTERS_PER_FRAME).long() + _EXTRA_CHARACTERS
