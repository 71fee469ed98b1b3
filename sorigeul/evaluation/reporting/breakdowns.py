"""Where the errors are: over utterances, and by what is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sorigeul.evaluation.bootstrap import interval, resampled_sums

Errors = npt.NDArray[np.int64]
"""(N, 2), errors and reference characters of each utterance"""

_EDGES = (*range(0, 110, 10), 200)  # % of an utterance, between the bars of a histogram
_GROUPS = 6
_RESAMPLES = 500  # enough for the two digits that a bar shows


@dataclass(frozen=True)
class Group:
    """Some utterances, and their error rate."""

    name: str
    """of a speaker; empty for a range"""
    low: float
    high: float
    """the range of what they have in common"""
    utterances: int
    rate: float
    """%, the sum of their errors divided by that of their lengths"""
    interval: tuple[float, float] | None
    """95 %, over utterances; None for less than two of them"""


def utterance_rates(errors: Errors) -> npt.NDArray[np.float64]:
    """The error rate (N,) of each utterance in %; infinite for errors in an empty reference."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(100 * errors[:, 0] / errors[:, 1], nan=0.0, posinf=np.inf)


def histogram(errors: Errors) -> list[tuple[float, int]]:
    """How many utterances are without errors, then at most at each upper limit in %.

    The last bar is open: it also has what is above its limit.
    """
    rates = utterance_rates(errors)
    places = np.minimum(np.searchsorted(_EDGES, rates, side="left"), len(_EDGES) - 1)
    counts = np.bincount(places, minlength=len(_EDGES))
    return [(float(edge), int(count)) for edge, count in zip(_EDGES, counts, strict=True)]


def by_value(values: Sequence[float], errors: Errors) -> list[Group]:
    """Utterances in at most six groups of about one size, by a number that each of them has.

    A group in whose references there is nothing has no rate, and is left out.
    """
    array = np.asarray(values, np.float64)
    if not len(array):
        return []
    shares = np.arange(1, _GROUPS) / _GROUPS
    limits = np.unique(np.quantile(array, shares, method="nearest"))
    places = np.searchsorted(limits, array, side="right")
    groups = [places == place for place in np.unique(places)]
    return [_group("", array[own], errors[own]) for own in groups if errors[own, 1].any()]


def by_speaker(speakers: Sequence[str], errors: Errors) -> list[Group]:
    """A group for each speaker who is known, the one with most errors first."""
    rows: dict[str, list[int]] = {}
    for row, speaker in enumerate(speakers):
        if speaker:
            rows.setdefault(speaker, []).append(row)
    groups = [
        _group(name, np.zeros(1), errors[own]) for name, own in rows.items() if errors[own, 1].any()
    ]
    return sorted(groups, key=lambda group: (-group.rate, group.name))


def _group(name: str, values: npt.NDArray[np.float64], errors: Errors) -> Group:
    total_errors, total_length = errors.sum(0)
    around = None
    if len(errors) > 1:
        sums = resampled_sums(errors.astype(np.float64), _RESAMPLES)
        rates = 100 * sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], np.nan)
        around = interval(rates, len(errors))
    rate = 100 * total_errors / total_length
    return Group(name, float(values.min()), float(values.max()), len(errors), float(rate), around)
