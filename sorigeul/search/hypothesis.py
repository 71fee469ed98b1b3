"""The result of a search, a hypothesis, and the most characters that one may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sorigeul.base.arrays import Array, astype, namespace

if TYPE_CHECKING:
    from sorigeul.model.las import ListenAttendSpell, ListenerOutput

Alignment = npt.NDArray[np.float32]
"""attention of each character over the valid listener frames (U, S)"""

_MAX_CHARACTERS_PER_FRAME = 0.15  # 15 a second at 100 frames: half as fast again as anyone speaks
_EXTRA_CHARACTERS = 8


@dataclass(frozen=True)
class Hypothesis:
    """A text that the search found for one utterance: U characters over S listener frames."""

    tokens: list[int]
    """character ids without special tokens (U)"""
    probabilities: list[float]
    """the speller's probability of each character (U)"""
    alignment: Alignment
    finished: bool
    """whether the search reached the end of the sentence; otherwise the text was cut off"""
    score: float = 0.0
    """what the search ranks by: the weighted sum of `scores`; 0 after greedy search"""
    scores: Mapping[str, float] = field(default_factory=dict)
    """what each scorer gives the whole text, by name and without its weight"""
    repetitive: bool = False
    """whether the text repeated itself so often that the search stopped the repetition"""


def length_limits(model: ListenAttendSpell, encoded: ListenerOutput) -> Array:
    """More characters than anyone could speak in the duration of each utterance (B,).

    They end the search of a model that repeats itself.
    """
    feature_frames = encoded.lengths * model.config.reduction
    most = feature_frames * _MAX_CHARACTERS_PER_FRAME
    return astype(most, namespace(most).int64) + _EXTRA_CHARACTERS
