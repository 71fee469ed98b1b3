"""Significance tests: right by hand, and right about systems that are equal or not."""

import math

import numpy as np
import pytest
from scipy import stats

from sorigeul.evaluation.bootstrap import Units
from sorigeul.evaluation.significance import (
    Comparison,
    Difference,
    MatchedPairs,
    matched_pairs,
    paired_bootstrap,
    segment_errors,
)

WORDS = ["가", "나", "다", "라", "마", "바", "사", "아", "자", "차"]


def changed(*changes: tuple[int, str]) -> list[str]:
    """The words with some of them replaced; an empty text deletes, several words insert."""
    words = list(WORDS)
    for place, text in changes:
        words[place] = text
    return " ".join(words).split()


# Matched pairs


def test_segments_by_hand() -> None:
    """The first system errs at words 0, 2 and 8, the second at 2 and 5.

    Word 1 alone between 0 and 2 does not end a segment, words 3 and 4 do, and so do 6 and 7.
    """
    first = changed((0, "x"), (2, "x"), (8, "x"))
    second = changed((2, ""), (5, "x y"))
    assert segment_errors((WORDS, first), (WORDS, second)) == [(2, 1), (0, 2), (1, 0)]


def test_an_insertion_between_two_words_keeps_them_from_ending_a_segment() -> None:
    first = changed((0, "x"), (1, "나 y"))  # x | 나 y 다: an error, a word, an insertion, a word …
    assert segment_errors((WORDS, first), (WORDS, WORDS)) == [(2, 0)]
    first = changed((0, "x"), (2, "다 y"))  # two words stand between the errors
    assert segment_errors((WORDS, first), (WORDS, WORDS)) == [(1, 0), (1, 0)]


def test_insertions_at_the_ends_and_empty_texts_are_segments() -> None:
    assert segment_errors(([], ["가"]), ([], [])) == [(1, 0)]
    assert segment_errors((["가"], []), (["가"], ["가"])) == [(1, 0)]
    assert segment_errors((WORDS, WORDS), (WORDS, WORDS)) == []
    assert segment_errors((WORDS, ["x", *WORDS]), (WORDS, [*WORDS, "y"])) == [(1, 0), (0, 1)]


def test_different_readings_of_a_reference_make_one_segment() -> None:
    assert segment_errors((["칠십", "프로"], ["칠십"]), (["칠십퍼센트"], ["칠십퍼센트"])) == [
        (1, 0)
    ]
    assert segment_errors((["칠십", "프로"],) * 2, (["칠십퍼센트"],) * 2) == []


def test_the_statistic_by_hand() -> None:
    """Differences -1, -1, 0, -2, 1, -1: mean -2/3, variance 16/15, W = -2/3 / sqrt(16/15 / 6)."""
    segments = [(1, 0), (1, 0), (1, 1), (2, 0), (0, 1), (2, 1)]
    result = matched_pairs(segments)
    assert result.segments == 6
    assert result.mean_difference == pytest.approx(-2 / 3)
    w = (-2 / 3) / math.sqrt((16 / 15) / 6)
    assert result.w == pytest.approx(w)
    assert result.p == pytest.approx(2 * stats.norm.cdf(-abs(w)))
    reverse = matched_pairs([(second, first) for first, second in segments])
    assert (reverse.w, reverse.p) == pytest.approx((-w, result.p))


def test_few_segments_cannot_prove_anything() -> None:
    assert matched_pairs([]) == MatchedPairs(0, 0.0, 0.0, 1.0)
    assert matched_pairs([(3, 0)]).p == 1.0
    assert matched_pairs([(1, 0)] * 4).p == pytest.approx(2**-3)
    assert matched_pairs([(1, 0)] * 12).p < 0.001
    assert matched_pairs([(1, 1)] * 12).p == 1.0


# Two systems of which the truth is known


def simulate(
    generator: np.random.Generator, second_rate: float
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Two systems on 120 utterances of 12 words; utterances are hard or easy for both alike.

    Returns errors and lengths (120, 4), and the errors in segments.
    """
    hard = generator.uniform(0.5, 1.5, 120)
    rows, segments = [], []
    reference = [str(number) for number in range(12)]
    for difficulty in hard:
        hypotheses = [
            ["x" if generator.random() < rate * difficulty else word for word in reference]
            for rate in (0.15, second_rate)
        ]
        first, second = (text.count("x") for text in hypotheses)
        rows.append((first, 12, second, 12))
        segments += segment_errors((reference, hypotheses[0]), (reference, hypotheses[1]))
    return np.array(rows, float), segments


def test_equal_systems_differ_in_about_5_of_100_cases() -> None:
    generator = np.random.default_rng(0)
    units = Units.from_speakers([""] * 120)
    bootstrap = by_segments = 0
    for _ in range(200):
        counts, segments = simulate(generator, 0.15)
        bootstrap += paired_bootstrap(counts, units).p < 0.05
        by_segments += matched_pairs(segments).p < 0.05
    # Between the percentiles of 0.5 % and 99.5 % of what 5 % would give.
    low, high = stats.binom.ppf(0.005, 200, 0.05), stats.binom.ppf(0.995, 200, 0.05)
    assert low <= bootstrap <= high
    assert low <= by_segments <= high


def test_a_real_difference_is_found() -> None:
    generator = np.random.default_rng(0)
    units = Units.from_speakers([""] * 120)
    found = 0
    for _ in range(20):
        counts, segments = simulate(generator, 0.09)
        difference = paired_bootstrap(counts, units)
        assert difference.interval[0] < difference.difference < difference.interval[1]
        found += difference.p < 0.05 and matched_pairs(segments).p < 0.05
    assert found >= 19


def test_what_both_systems_find_hard_does_not_hide_a_difference() -> None:
    """The second makes one error less in each tenth utterance: far less than utterances differ."""
    lengths = np.full(400, 50.0)
    errors = np.random.default_rng(0).integers(0, 40, 400).astype(float)
    better = np.where(np.arange(400) % 10, errors, np.maximum(errors - 1, 0))
    result = paired_bootstrap(
        np.stack([errors, lengths, better, lengths], axis=1), Units.from_speakers([""] * 400)
    )
    assert result.difference == pytest.approx(100 * (better.sum() - errors.sum()) / lengths.sum())
    assert result.p < 0.001


def test_equal_results_are_equal() -> None:
    counts = np.array([[1.0, 5, 1, 5], [0, 7, 0, 7], [2, 3, 2, 3]])
    result = paired_bootstrap(counts, Units.from_speakers(["", "", ""]))
    assert (result.difference, result.interval) == (0.0, (0.0, 0.0))
    assert result.p == pytest.approx(1.0)


# In words


def test_the_verdict_is_said_in_words() -> None:
    comparison = Comparison(
        policy="strict/1",
        resampled="utterance",
        crr=Difference(1.5, (0.5, 2.5), 0.0004),
        wer=Difference(0.3, (-1.0, 1.6), 0.62),
        matched_pairs=MatchedPairs(40, -0.25, -2.0, 0.0455),
    )
    assert comparison.in_words("one", "two").splitlines() == [
        "CRR: two is better than one by 1.50 points (difference +1.50, 95 % interval +0.50 to "
        "+2.50), hardly chance (p < 0.001).",
        "WER: two is worse than one by 0.30 points (difference +0.30, 95 % interval -1.00 to "
        "+1.60), which can be chance (p = 0.620).",
        "Matched pairs (MAPSSWE), 40 segments with word errors: two has 0.25 fewer in each than "
        "one, hardly chance (p = 0.045).",
    ]
