"""Bootstrap: how far a rate would vary over other utterances or speakers like those of a test set.

Rates are sums of errors over sums of lengths. A resample draws as many units (utterances, or
speakers with all their utterances) as there are, with replacement, and takes the same sums (Bisani
and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation").
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

RESAMPLES = 2000
MIN_SPEAKERS = 10
"""with fewer speakers, a bootstrap over them says little, and utterances are resampled"""
_DRAWS_AT_ONCE = 4_000_000  # 30 MB

Floats = npt.NDArray[np.float64]
Unit = Literal["speaker", "utterance"]


@dataclass(frozen=True)
class Units:
    """What is drawn in a resample: each of N utterances belongs to one of `count` units."""

    unit: Unit
    numbers: npt.NDArray[np.int64]
    """the unit of each utterance (N,)"""
    count: int

    @classmethod
    def from_speakers(cls, speakers: Sequence[str]) -> "Units":
        """By speaker if all are known and there are `MIN_SPEAKERS` or more, else by utterance.

        The utterances of a speaker are alike, so an interval that takes them for independent draws
        is too narrow for speakers that are not in the test set.
        """
        names, numbers = np.unique(np.array(speakers, np.str_), return_inverse=True)
        if len(names) >= MIN_SPEAKERS and "" not in names:
            return cls("speaker", numbers.astype(np.int64), len(names))
        return cls("utterance", np.arange(len(speakers)), len(speakers))

    def sums(self, values: npt.NDArray[np.generic]) -> Floats:
        """Values (N, M) of the utterances -> their sums (count, M) over each unit."""
        sums = np.zeros((self.count, values.shape[1]))
        np.add.at(sums, self.numbers, values)
        return sums


def resampled_sums(values: Floats, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Sums (R, M) over resamples of the rows of `values` (U, M), the same for the same seed."""
    return np.concatenate([weights @ values for weights in _weights(len(values), resamples, seed)])


def _weights(units: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each unit is drawn in each resample (R, U), some resamples at a time."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // max(units, 1))
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        draws = generator.integers(0, units, (rows, units))
        draws += units * np.arange(rows)[:, None]
        yield np.bincount(draws.ravel(), minlength=rows * units).reshape(rows, units).astype(float)


def interval(resampled: Floats, units: int, level: float = 0.95) -> tuple[float, float]:
    """Interval from the resampled values (R,) of a statistic of `units` units.

    The percentiles are a little further out than `level` says, as far as makes the interval of a
    mean as wide as that of Student's t (Hesterberg 2015, "What teachers should know about the
    bootstrap", expanded percentiles); with ten speakers the plain ones cover the truth in less than
    90 % of the cases. Resamples without a value (NaN) do not count.
    """
    tail = _expanded_tail((1 - level) / 2, units)
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return float(low), float(high)


def chance(resampled: Floats, units: int) -> float:
    """Two-sided p value of a statistic that is zero in truth, from its resampled values (R,).

    It is below 5 % where the 95 % `interval` leaves zero out.
    """
    values = resampled[~np.isnan(resampled)]
    # A value of exactly zero counts for neither side; half of it for both.
    below = ((values < 0).sum() + (values == 0).sum() / 2 + 0.5) / (len(values) + 1)
    tail = min(below, 1 - below)
    return min(1.0, 2 * _contracted_tail(tail, units))


def _expanded_tail(tail: float, units: int) -> float:
    """Share of the resamples to leave out at either end, so that `tail` of the truths are there."""
    if units < 2:
        return 0.0
    width = math.sqrt(units / (units - 1)) * _student_quantile(1 - tail, units - 1)
    return NormalDist().cdf(-width)


def _contracted_tail(tail: float, units: int) -> float:
    """The inverse of `_expanded_tail`, by bisection."""
    low, high = 0.0, 0.5
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _expanded_tail(middle, units) < tail else (low, middle)
    return (low + high) / 2


def _student_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t: the Cornish-Fisher expansion, good to 1 % from 4 degrees on."""
    z = NormalDist().inv_cdf(min(probability, 1 - 1e-16))
    return (
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
