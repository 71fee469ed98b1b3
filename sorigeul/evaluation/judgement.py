"""How good a recogniser is by each scoring policy, how sure that is, and against another one."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sorigeul.base.tables import markdown_table
from sorigeul.evaluation.bootstrap import RESAMPLES, Floats, Units, interval, resampled_sums
from sorigeul.evaluation.policies import POLICIES, STRICT, Policy, shown_policies
from sorigeul.evaluation.scores import ERROR_RATES, ErrorCounts, Score, TextPair
from sorigeul.evaluation.significance import (
    Comparison,
    matched_pairs,
    paired_bootstrap,
    segment_errors,
)

log = logging.getLogger(__name__)

INTERVAL_RATES = ("crr", "cer", "cer_no_space", "wer", "swer", "jer")
"""the rates of a `Score` that have an interval"""


@dataclass(frozen=True)
class PolicyScore:
    """The score of a corpus by one policy."""

    counts: ErrorCounts
    """of each utterance, in the order of the pairs"""
    score: Score
    intervals: dict[str, tuple[float, float]]
    """95 % bootstrap intervals of `INTERVAL_RATES` in %; empty for less than two units to draw"""

    def to_json(self) -> dict[str, Any]:
        """Rates, counts and intervals by name, ready for `json.dumps`."""
        return {**self.score.to_json(), "intervals": self.intervals}


@dataclass(frozen=True)
class Judgement:
    """The scores of a recogniser by all policies."""

    pairs: list[TextPair]
    units: Units
    """what the bootstrap draws"""
    by_policy: dict[Policy, PolicyScore]

    def to_json(self, headline: Policy = STRICT) -> dict[str, Any]:
        """The scores by the policy `headline`, and under `policies` those by all."""
        return {
            **self.by_policy[headline].to_json(),
            "policy": str(headline),
            "resampled": {"unit": self.units.unit, "units": self.units.count, "times": RESAMPLES},
            "policies": {str(policy): score.to_json() for policy, score in self.by_policy.items()},
        }

    def table(self, headline: Policy = STRICT) -> str:
        """A Markdown table of the rates and their intervals by two policies, `headline` first."""
        shown = shown_policies(headline)
        header = ["% (95 % interval)", *(f"{policy}" for policy in shown)]
        rows = [[_NAMES[rate], *(self._cell(policy, rate) for policy in shown)] for rate in _NAMES]
        notes = [f"{policy}: {policy.summary}" for policy in shown]
        return "\n".join((markdown_table([header, *rows]), *notes, self._about_intervals())) + "\n"

    def _cell(self, policy: Policy, rate: str) -> str:
        if not policy.spaces and rate in ("cer", "wer"):
            return ""  # those without spaces stand below them
        result = self.by_policy[policy]
        value = f"{getattr(result.score, rate):.2f}"
        if rate not in result.intervals:
            return value
        low, high = result.intervals[rate]
        return f"{value} ({low:.2f} to {high:.2f})"

    def _about_intervals(self) -> str:
        return (
            f"intervals: {RESAMPLES:,} resamples of {self.units.count:,} {self.units.unit}s; they "
            f"say how the rates would vary over other {self.units.unit}s like these"
        )


_NAMES = {
    "crr": "CRR",
    "cer": "CER",
    "cer_no_space": "CER without spaces",
    "wer": "WER",
    "swer": "sWER",
    "jer": "JER (letters)",
}


def judge(pairs: Sequence[TextPair], normalizer: str, seed: int = 0) -> Judgement:
    """Score the texts of a recogniser by all policies, with intervals.

    `normalizer` is the name of the transcripts' normaliser, for the report. Speakers are resampled
    if they are known and enough, else utterances. Raises UserError if no reference has a character.
    """
    units = Units.from_speakers([pair.speaker for pair in pairs])
    by_policy = {}
    for policy in POLICIES:
        counts = policy.count_all(pairs)
        if long := [pair.id for pair in pairs if policy.is_too_long(pair)]:
            log.warning(
                "%s: texts too long to weigh all their readings are compared in the usual ones: "
                "%d of %d, the first is %s",
                policy,
                len(long),
                len(pairs),
                long[0],
            )
        score = Score.from_counts(counts, normalizer)
        by_policy[policy] = PolicyScore(counts, score, _intervals(counts, units, seed))
    return Judgement(list(pairs), units, by_policy)


def _intervals(counts: ErrorCounts, units: Units, seed: int) -> dict[str, tuple[float, float]]:
    if units.count < 2:
        return {}
    sums = units.sums(np.concatenate([counts.errors, counts.lengths], axis=1))
    resampled = _rates(resampled_sums(sums, seed=seed))
    columns = {name: resampled[:, ERROR_RATES.index(name)] for name in INTERVAL_RATES[1:]}
    columns = {"crr": 100 - columns["cer_no_space"], **columns}
    return {name: interval(column, units.count) for name, column in columns.items()}


def _rates(sums: Floats) -> Floats:
    """Sums (R, 16) of errors and lengths -> rates (R, 8) in %; NaN where there is no length."""
    errors, lengths = np.split(sums, 2, axis=1)
    rates = np.full_like(errors, np.nan)
    np.divide(100 * errors, lengths, out=rates, where=lengths > 0)
    return rates


def compare(first: Judgement, second: Judgement, policy: Policy = STRICT) -> Comparison:
    """Whether the second recogniser differs from the first on the same utterances.

    Raises ValueError if they are not the same utterances.
    """
    in_second = {pair.id: row for row, pair in enumerate(second.pairs)}
    if in_second.keys() != {pair.id for pair in first.pairs}:
        raise ValueError("the two recognisers were not run on the same utterances")
    order = np.array([in_second[pair.id] for pair in first.pairs])
    counts, other_counts = first.by_policy[policy].counts, second.by_policy[policy].counts.at(order)
    segments = (
        segment
        for pair, row in zip(first.pairs, order, strict=True)
        for segment in segment_errors(
            policy.words(pair.reference, pair.hypothesis),
            policy.words(pair.reference, second.pairs[row].hypothesis),
        )
    )
    return Comparison(
        policy=str(policy),
        resampled=first.units.unit,
        # The CRR of the second minus that of the first is the CER of the first minus the second's.
        crr=paired_bootstrap(_columns("cer_no_space", other_counts, counts), first.units),
        wer=paired_bootstrap(_columns("wer", counts, other_counts), first.units),
        matched_pairs=matched_pairs(segments),
    )


def _columns(rate: str, first: ErrorCounts, second: ErrorCounts) -> Floats:
    """Errors and lengths of a rate, by the first system and by the second (N, 4)."""
    column = ERROR_RATES.index(rate)
    columns = [first.errors, first.lengths, second.errors, second.lengths]
    return np.stack([counts[:, column] for counts in columns], axis=1).astype(float)
