"""Bootstrap: intervals that cover the truth, by utterance and by speaker, and how fast they are."""

import time

import numpy as np
import pytest
from scipy import stats

from sorigeul.evaluation.bootstrap import Units, chance, interval, resampled_sums


def rate_interval(errors: np.ndarray, lengths: np.ndarray, units: Units) -> tuple[float, float]:
    sums = resampled_sums(units.sums(np.stack([errors, lengths], axis=1)), resamples=1000)
    return interval(sums[:, 0] / sums[:, 1], units.count)


def simulate(
    generator: np.random.Generator, speakers: int, spread: float
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Errors and lengths of 20 utterances of each speaker, whose error rates spread around 20 %."""
    rates = np.clip(0.2 + spread * generator.standard_normal(speakers), 0.01, 0.9).repeat(20)
    lengths = generator.integers(5, 40, len(rates))
    names = [f"s{number // 20}" for number in range(len(rates))]
    return generator.binomial(lengths, rates), lengths, names


@pytest.mark.parametrize(("speakers", "spread", "known"), [(12, 0.06, True), (6, 0.0, False)])
def test_intervals_cover_the_truth_in_95_of_100_cases(
    speakers: int, spread: float, known: bool
) -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        errors, lengths, names = simulate(generator, speakers, spread)
        units = Units.from_speakers(names if known else [""] * len(names))
        low, high = rate_interval(errors, lengths, units)
        covered += low <= 0.2 <= high
    # Between the percentiles of 0.1 % and 99.9 % of what 95 % would give.
    assert stats.binom.ppf(0.001, 300, 0.95) <= covered <= stats.binom.ppf(0.999, 300, 0.95)


def test_intervals_by_speaker_are_wider_where_speakers_differ() -> None:
    errors, lengths, names = simulate(np.random.default_rng(1), 20, 0.08)
    by_speaker = rate_interval(errors, lengths, Units.from_speakers(names))
    by_utterance = rate_interval(errors, lengths, Units.from_speakers([""] * len(names)))
    assert by_speaker[1] - by_speaker[0] > 1.5 * (by_utterance[1] - by_utterance[0])
    same_errors, _, _ = simulate(np.random.default_rng(1), 20, 0.0)
    alike = rate_interval(same_errors, lengths, Units.from_speakers(names))
    assert alike[1] - alike[0] < 1.5 * (by_utterance[1] - by_utterance[0])


def test_speakers_are_drawn_only_if_all_are_known_and_there_are_ten() -> None:
    ten = [f"s{number % 10}" for number in range(30)]
    units = Units.from_speakers(ten)
    assert (units.unit, units.count) == ("speaker", 10)
    for names in (ten[:9] * 3, [*ten, ""]):
        units = Units.from_speakers(names)
        assert (units.unit, units.count) == ("utterance", len(names))


def test_sums_over_speakers_are_those_of_their_utterances() -> None:
    names = [f"s{number % 11}" for number in range(33)]
    values = np.arange(66).reshape(33, 2)
    sums = Units.from_speakers(names).sums(values)
    by_name = {name: values[[other == name for other in names]].sum(0) for name in names}
    assert sums.tolist() == [by_name[name].tolist() for name in sorted(by_name)]


def test_an_interval_is_as_wide_as_that_of_student_for_a_mean() -> None:
    """With ten units, where plain percentiles are a sixth narrower."""
    values = np.random.default_rng(0).standard_normal((10, 1))
    means = resampled_sums(values, resamples=40_000)[:, 0] / 10
    low, high = interval(means, 10)
    student = stats.t.ppf(0.975, 9) * values.std(ddof=1) / np.sqrt(10)
    assert (high - low) / 2 == pytest.approx(student, rel=0.08)


def test_the_p_value_is_below_5_percent_where_the_interval_leaves_zero_out() -> None:
    generator = np.random.default_rng(0)
    sides = 0
    for _ in range(200):
        values = generator.standard_normal(40) + 0.3
        means = resampled_sums(values[:, None], resamples=1000)[:, 0] / 40
        low, high = interval(means, 40)
        p = chance(means, 40)
        if abs(p - 0.05) > 0.01:
            assert (p < 0.05) == (low > 0 or high < 0)
            sides += 1 if p < 0.05 else -1
    assert abs(sides) < 190  # both sides occurred


def test_nothing_but_zero_is_chance() -> None:
    assert chance(np.zeros(1000), 30) == pytest.approx(1.0)


def test_the_same_seed_draws_the_same_resamples() -> None:
    values = np.random.default_rng(0).random((50, 2))
    first, second, other = (resampled_sums(values, 100, seed) for seed in (0, 0, 1))
    assert (first == second).all()
    assert (first != other).any()


def test_many_utterances_are_drawn_some_resamples_at_a_time() -> None:
    """The memory stays small, and every resample draws as many as there are."""
    drawn = resampled_sums(np.ones((3_000_000, 1)), resamples=3)
    assert drawn.tolist() == [[3_000_000.0]] * 3


def test_a_thousand_resamples_of_three_thousand_utterances_take_well_under_a_second() -> None:
    values = np.random.default_rng(0).random((3000, 16))
    started = time.perf_counter()
    resampled_sums(values, resamples=1000)
    assert time.perf_counter() - started < 1  # a tenth of it on an idle machine
