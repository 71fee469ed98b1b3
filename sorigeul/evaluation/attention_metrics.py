"""Whether the attention of an utterance aligns its characters with its sound, in three figures.

Knows matrices, nothing of models or text. Attention that aligns has all three near 1; attention
that spreads evenly covers everything, but has neither order nor focus.
"""

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass

import torch
from torch import Tensor
from torch.nn import functional

FORMED = 0.6
"""diagonality from which there is an alignment: it was 0.00 in untrained models, 0.26 and 0.45 at a
free-running CRR of 1 and 4 %, 0.84 where the attention began to follow real speech, 0.94 and 0.99
at 48 and 94 % (docs/decisions.md)"""
_COVERED = 0.5  # of a character's attention (Chorowski and Jaitly 2017: its tau)


@dataclass(frozen=True)
class AttentionMetrics:
    """Figures between 0 and 1 of one utterance, or their means over several."""

    diagonality: float
    """whether later characters are heard later: Kendall's rank correlation of character and place.
    Over all pairs of characters, how much more often the later one's attention falls later than
    earlier, either place drawn from its attention. Unlike the distance from the diagonal it lets
    speakers pause and hurry; unlike a correlation of the centres of attention, it is 0 and not
    chance where every character attends to everything"""
    coverage: float
    """whether nothing is skipped: share of the sound's energy near which, that is within an average
    character's length, at least half a character's attention lies. By energy, since pauses need
    none"""
    focus: float
    """whether each character attends to one place: 1 - entropy / log(frames), mean over them"""

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.2f}" for name, value in vars(self).items())

    @property
    def formed(self) -> bool:
        """Whether there is any alignment, good or bad."""
        return self.diagonality >= FORMED


def measure_attention(attention: Tensor, energy: Tensor) -> AttentionMetrics | None:
    """Attention (U, S) of U characters over S frames in time order, and the frames' energy (S,).

    Each row of attention sums to 1. None where order means nothing: for less than two characters or
    frames.
    """
    characters, frames = attention.shape
    if characters < 2 or frames < 2:
        return None
    attention = attention.double()
    before = attention.cumsum(1) - attention / 2  # a place in common counts half
    later = attention @ before.T  # (U, U): chance that row's place is after column's
    pairs = later.tril(-1).sum() / (characters * (characters - 1) / 2)
    width = max(1, round(frames / characters))
    near = functional.avg_pool1d(attention.sum(0)[None], 2 * width + 1, 1, width)[0]
    heard = near * (2 * width + 1) >= _COVERED
    loudness = energy.double() + torch.finfo(torch.float32).tiny  # total silence counts evenly
    entropy = torch.special.entr(attention).sum(1).mean() / math.log(frames)
    figures = (2 * pairs - 1, loudness[heard].sum() / loudness.sum(), 1 - entropy)
    return AttentionMetrics(*(min(max(float(figure), 0.0), 1.0) for figure in figures))


def mean_metrics(alignments: Iterable[AttentionMetrics | None]) -> AttentionMetrics | None:
    """The means over the utterances that have figures; none where none has."""
    found = [astuple(one) for one in alignments if one is not None]
    if not found:
        return None
    return AttentionMetrics(
        *(math.fsum(column) / len(found) for column in zip(*found, strict=True))
    )
