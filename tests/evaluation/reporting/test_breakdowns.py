"""Groups hold every utterance once, and their rates are sums over sums."""

from itertools import pairwise

import numpy as np
import pytest

from sorigeul.evaluation.reporting.breakdowns import (
    Errors,
    by_speaker,
    by_value,
    histogram,
    utterance_rates,
)


@pytest.fixture
def errors() -> Errors:
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 40, 500)
    return np.stack((generator.binomial(lengths, 0.2), lengths), axis=1)


def test_groups_by_value_are_ordered_of_about_one_size_and_add_up(errors: Errors) -> None:
    values = np.random.default_rng(1).standard_normal(len(errors))
    groups = by_value(values.tolist(), errors)
    assert len(groups) == 6
    assert sum(group.utterances for group in groups) == len(errors)
    assert all(70 <= group.utterances <= 95 for group in groups)
    for group in groups:
        own = errors[(group.low <= values) & (values <= group.high)]
        assert len(own) == group.utterances
        assert group.rate == pytest.approx(100 * own[:, 0].sum() / own[:, 1].sum())
        assert group.interval is not None
        assert group.interval[0] < group.rate < group.interval[1]
    assert all(one.high < other.low for one, other in pairwise(groups))


def test_equal_values_are_in_one_group(errors: Errors) -> None:
    (group,) = by_value([7.0] * len(errors), errors)
    assert (group.low, group.high, group.utterances) == (7, 7, len(errors))
    groups = by_value([1.0, 1.0, 2.0], errors[:3])
    assert [(group.low, group.utterances) for group in groups] == [(1, 2), (2, 1)]
    assert groups[1].interval is None
    assert by_value([], errors[:0]) == []


def test_utterances_without_a_reference_have_no_rate_of_their_own() -> None:
    errors = np.array([[3, 0], [1, 10], [0, 0]])
    assert utterance_rates(errors).tolist() == [np.inf, 10, 0]
    groups = by_value([0.0, 10.0, 0.0], errors)
    assert [group.rate for group in groups] == [10]
    assert [group.name for group in by_speaker(["a", "b", "a"], errors)] == ["b"]
    assert histogram(errors)[-1][1] == 1


def test_speakers_are_ordered_by_their_rate(errors: Errors) -> None:
    speakers = [("", "a", "b", "c")[row % 4] for row in range(len(errors))]
    groups = by_speaker(speakers, errors)
    assert sorted(group.name for group in groups) == ["a", "b", "c"]
    assert [group.rate for group in groups] == sorted((g.rate for g in groups), reverse=True)
    own = errors[[speaker == "a" for speaker in speakers]]
    (group,) = [group for group in groups if group.name == "a"]
    assert group.rate == pytest.approx(100 * own[:, 0].sum() / own[:, 1].sum())


def test_a_histogram_has_every_utterance_once(errors: Errors) -> None:
    errors = np.concatenate([errors, [[0, 5], [5, 5], [6, 5], [20, 5]]])
    bars = histogram(errors)
    rates = utterance_rates(errors)
    assert sum(count for _, count in bars) == len(errors)
    assert dict(bars)[0] == (rates == 0).sum()
    assert dict(bars)[10] == ((rates > 0) & (rates <= 10)).sum()
    assert bars[-1][1] == (rates > 100).sum() == 2
