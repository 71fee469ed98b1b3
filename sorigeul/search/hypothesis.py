"""Search: what the listener heard to character ids. Knows scores, not audio and not text.

Greedy: at every step the best character goes back into the speller, until the end mark. Or a beam
of several texts side by side, which speller and CTC head judge together.
"""

from dataclasses import dataclass

from torch import Tensor

from sorigeul.model.las import ListenAttendSpell, ListenerOutput

_CHARACTERS_PER_FRAME = 0.15  # 15 a second at 100 frames: half as fast again as anyone speaks
_CHARACTERS_MORE = 8


@dataclass(frozen=True)
class Hypothesis:
    """What was spelled for one utterance."""

    tokens: list[int]
    """character ids without specials (U)"""
    probabilities: list[float]
    """the model's probability of each character (U)"""
    alignment: Tensor
    """attention of each character over the valid listener frames (U, S)"""
    finished: bool
    """false where the longest possible length was reached before an end mark"""


def length_limits(model: ListenAttendSpell, encoded: ListenerOutput) -> Tensor:
    """More characters than anyone could have said in the time of each utterance (B,)."""
    frames = encoded.lengths * model.config.reduction
    return (frames * _CHARACTERS_PER_FRAME).long() + _CHARACTERS_MORE
