"""Times of benchmarks."""

import pytest

from sorigeul.bench.timing import fastest_seconds


def test_the_fastest_of_several_calls_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that shows when each call begins and ends; the first call only warms up."""
    times = iter([0, 1, 10, 15, 20, 22, 30, 33])
    monkeypatch.setattr("sorigeul.bench.timing.time.perf_counter", lambda: next(times))
    assert fastest_seconds(lambda: None, 3) == 2
