"""Three metrics of how well attention aligns characters with audio: order, coverage and focus.

Attention that aligns well has all three near 1. Attention that spreads evenly over the audio has
full coverage, but neither order nor focus. Does not know about models or text.
"""

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass

import torch
from torch import Tensor
from torch.nn import functional

ALIGNED_DIAGONALITY = 0.6
"""diagonality from which on the attention counts as aligned: it was 0.00 in untrained models, 0.26
and 0.45 at a free-running CRR of 1 and 4 %, 0.84 when the attention began to follow real speech,
0.94 and 0.99 at 48 and 94 % (docs/decisions.md)"""
_COVERING_ATTENTION = 0.5  # of one character (the tau of Chorowski and Jaitly 2017)


@dataclass(frozen=True)
class AttentionMetrics:
    """Metrics of one utterance, or their means over several; each from 0 to 1."""

    diagonality: float
    """order: Kendall's rank correlation of the characters and the frames they attend to. For every
    pair of characters, a frame is drawn for either one from its attention. The value is how much
    more often the later character has the later frame than the earlier frame. Unlike the distance
    from the diagonal this allows for pauses and changes of speed. Unlike a correlation of the
    centres of attention it is 0, and not random, if every character attends to everything"""
    coverage: float
    """share of the audio's energy that is not skipped. A frame is covered if at least half a
    character's attention lies within the average length of a character around it. Weighted by
    energy, since pauses need no attention"""
    focus: float
    """whether each character attends to one frame: 1 - entropy / log(frames), averaged over the
    characters"""

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.2f}" for name, value in vars(self).items())

    @property
    def aligned(self) -> bool:
        """Whether there is any alignment, good or bad."""
        return self.diagonality >= ALIGNED_DIAGONALITY


def measure_attention(attention: Tensor, energy: Tensor) -> AttentionMetrics | None:
    """Metrics of the attention (U, S) of U characters over S frames in the order of time.

    Each row of `attention` sums to 1; `energy` (S,) is that of the frames. None for less than two
    characters or frames, which have no order.
    """
    characters, frames = attention.shape
    if characters < 2 or frames < 2:
        return None
    attention = attention.double()
    # P(a frame drawn from a row's attention is before this one), an equal frame counting as half.
    before = attention.cumsum(1) - attention / 2
    # (U, U): probability that the frame of the row's character is after that of the column's.
    later = attention @ before.T
    order = later.tril(-1).sum() / (characters * (characters - 1) / 2)
    width = max(1, round(frames / characters))
    nearby = functional.avg_pool1d(attention.sum(0)[None], 2 * width + 1, 1, width)[0]
    covered = nearby * (2 * width + 1) >= _COVERING_ATTENTION
    loudness = energy.double() + torch.finfo(torch.float32).tiny  # total silence counts evenly
    coverage = loudness[covered].sum() / loudness.sum()
    entropy = torch.special.entr(attention).sum(1).mean() / math.log(frames)
    values = (2 * order - 1, coverage, 1 - entropy)
    return AttentionMetrics(*(min(max(float(value), 0.0), 1.0) for value in values))


def mean_metrics(utterances: Iterable[AttentionMetrics | None]) -> AttentionMetrics | None:
    """The means over the utterances that have metrics; None if none of them has."""
    rows = [astuple(metrics) for metrics in utterances if metrics is not None]
    if not rows:
        return None
    return AttentionMetrics(*(math.fsum(column) / len(rows) for column in zip(*rows, strict=True)))
