"""Whether two systems differ on the same utterances, or whether the difference can be chance.

Does not know where the texts come from.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from sorigeul.evaluation.bootstrap import RESAMPLES, Floats, Units, chance, interval, resampled_sums

SIGNIFICANT = 0.05
"""p values below this are taken for a difference"""
_CORRECT_BETWEEN = 2  # words that both systems have right, between two segments


@dataclass(frozen=True)
class Difference:
    """The difference of a rate between two systems, and whether it can be chance."""

    difference: float
    """second minus first, in points"""
    interval: tuple[float, float]
    """95 % bootstrap interval of the difference"""
    p: float
    """two-sided: how likely so large a difference is between systems that are equally good"""


def paired_bootstrap(counts: Floats, units: Units, seed: int = 0) -> Difference:
    """Difference of an error rate in %, when both systems are resampled together.

    `counts` (N, 4) are errors and length of N utterances by the first system, then by the second.
    Only where the systems differ does a draw of utterances matter; so this finds differences that
    two intervals, one for each system, hide (Bisani and Ney 2004).
    """
    sums = units.sums(counts)
    resampled = _difference(resampled_sums(sums, RESAMPLES, seed))
    return Difference(
        float(_difference(sums.sum(0)[None])[0]),
        interval(resampled, units.count),
        chance(resampled, units.count),
    )


def _difference(sums: Floats) -> Floats:
    """Sums (R, 4) of errors and lengths of two systems -> difference of their rates in % (R,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = 100 * sums[:, ::2] / sums[:, 1::2]
    rates[~np.isfinite(rates)] = np.nan
    return np.asarray(rates[:, 1] - rates[:, 0])


@dataclass(frozen=True)
class MatchedPairs:
    """Result of the matched-pairs sentence-segment word error test."""

    segments: int
    mean_difference: float
    """word errors of the second system minus those of the first, mean over the segments"""
    w: float
    """the mean divided by its standard error; of normal distribution if the systems are equal"""
    p: float
    """two-sided"""


Words = Sequence[str]
ComparedWords = tuple[Words, Words]
"""of a reference and of a hypothesis"""


def matched_pairs(segments: Iterable[tuple[int, int]]) -> MatchedPairs:
    """MAPSSWE: both systems' word errors in the segments that `segment_errors` finds.

    Errors close to each other are not independent, so they are counted together: a segment is a
    stretch with errors of either system, and two words that both have right (or an end of the
    utterance) lie between it and the next. For each segment the difference of the numbers of errors
    is taken; if the systems are equal, the mean of the differences is zero (Gillick and Cox 1989,
    "Some statistical issues in the comparison of speech recognition algorithms", section 4; the
    two words are those of NIST's sc_stats).

    Few segments cannot say more than their signs: p is at least 2 ** (1 - segments).
    """
    differences = np.array([second - first for first, second in segments], np.float64)
    count = len(differences)
    mean = float(differences.mean()) if count else 0.0
    if mean == 0 or count < 2:
        return MatchedPairs(count, mean, 0.0, 1.0)
    error = float(differences.std(ddof=1)) / math.sqrt(count)
    w = mean / error if error else math.copysign(math.inf, mean)
    p = 2 * NormalDist().cdf(-abs(w))
    return MatchedPairs(count, mean, w, max(p, 2.0 ** (1 - count)))


def segment_errors(first: ComparedWords, second: ComparedWords) -> list[tuple[int, int]]:
    """Word errors of both systems in each segment of one utterance, as of `matched_pairs`.

    If the systems are compared with different readings of the reference, the utterance is a
    segment.
    """
    if first[0] != second[0]:
        errors_of_all = (Levenshtein.distance(*first), Levenshtein.distance(*second))
        return [errors_of_all] if any(errors_of_all) else []
    segments: list[tuple[int, int]] = []
    errors = (0, 0)
    correct = 0
    for place, here in enumerate(zip(_word_errors(*first), _word_errors(*second), strict=True)):
        if any(here):
            errors = (errors[0] + here[0], errors[1] + here[1])
            correct = 0
        elif place % 2:  # a word, and not a gap
            correct += 1
        if correct >= _CORRECT_BETWEEN and any(errors):
            segments.append(errors)
            errors = (0, 0)
    return [*segments, errors] if any(errors) else segments


def _word_errors(reference: Words, hypothesis: Words) -> list[int]:
    """Errors (2 W + 1,) in the gap before each of W words, at the word, and in the last gap."""
    errors = [0] * (2 * len(reference) + 1)
    for edit in Levenshtein.editops(reference, hypothesis):
        errors[2 * edit.src_pos + (edit.tag != "insert")] += 1
    return errors


@dataclass(frozen=True)
class Comparison:
    """A second system against a first one, on the same utterances."""

    policy: str
    resampled: str
    """what the bootstrap draws: speaker or utterance"""
    crr: Difference
    wer: Difference
    matched_pairs: MatchedPairs

    def to_json(self) -> dict[str, Any]:
        """The fields by name, ready for `json.dumps`."""
        fields = asdict(self)
        if math.isinf(self.matched_pairs.w):
            fields["matched_pairs"]["w"] = None
        return fields

    def in_words(self, first: str, second: str) -> str:
        """What the numbers mean, in a sentence for each test."""
        return "\n".join(
            (
                _sentence("CRR", self.crr, first, second, higher_is_better=True),
                _sentence("WER", self.wer, first, second, higher_is_better=False),
                self._segments_in_words(first, second),
            )
        )

    def _segments_in_words(self, first: str, second: str) -> str:
        pairs = self.matched_pairs
        test = f"Matched pairs (MAPSSWE), {pairs.segments:,} segments with word errors"
        if not pairs.mean_difference:
            return f"{test}: both have as many, {_verdict(pairs.p)}."
        fewer, more = (first, second) if pairs.mean_difference > 0 else (second, first)
        return (
            f"{test}: {fewer} has {abs(pairs.mean_difference):.2f} fewer in each than {more}, "
            f"{_verdict(pairs.p)}."
        )


def _sentence(
    rate: str, difference: Difference, first: str, second: str, higher_is_better: bool
) -> str:
    low, high = difference.interval
    side = "better" if (difference.difference > 0) == higher_is_better else "worse"
    if difference.difference == 0:
        return f"{rate}: {second} and {first} are equal, {_verdict(difference.p)}."
    return (
        f"{rate}: {second} is {side} than {first} by {abs(difference.difference):.2f} points "
        f"(difference {difference.difference:+.2f}, 95 % interval {low:+.2f} to {high:+.2f}), "
        f"{_verdict(difference.p)}."
    )


def _verdict(p: float) -> str:
    chance_words = "hardly chance" if p < SIGNIFICANT else "which can be chance"
    return f"{chance_words} (p {'< 0.001' if p < 0.001 else f'= {p:.3f}'})"
