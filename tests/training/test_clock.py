"""A system clock that is set back or forward during a run."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from helpers.runs import (
    THREE_EPOCHS,
    identical,
    metrics_without_times,
    settings,
    state_without_times,
)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sorigeul.training.learner import Learner
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train

DAY = 86_400.0


LIMITS: dict[str, Any] = {**THREE_EPOCHS, "max_seconds": DAY}


@pytest.fixture(scope="module")
def expected(babble: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run whose clock nobody sets."""
    folder = tmp_path_factory.mktemp("clock") / "expected"
    train(babble, folder, settings(**LIMITS))
    return folder


@pytest.mark.parametrize("days", [-400, 400])
def test_setting_the_clock_changes_nothing(
    babble: Path, expected: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """Neither in the middle of an epoch, nor between a run that stops and the one that resumes."""
    step = Learner.step
    with time_machine.travel("2026-06-15", tick=True) as clock:

        def set_clock_and_step(*arguments: Any, **named: Any) -> Any:
            clock.shift(timedelta(days=days))
            return step(*arguments, **named)

        monkeypatch.setattr(Learner, "step", set_clock_and_step)
        train(babble, tmp_path / "run", settings(**{**LIMITS, "max_epochs": 2}))
        train(babble, tmp_path / "run", settings(**LIMITS))
    runs = [tmp_path / "run", expected]
    metrics, expected_metrics = map(metrics_without_times, runs)
    assert metrics == expected_metrics
    assert identical(*map(state_without_times, runs))
    seconds = [row["training_seconds"] for row in read_metrics(runs[0], "epoch")]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] < DAY
    # TensorBoard orders files by their time, so each of them is read on its own.
    crr, expected_crr = map(dev_crr_events, runs)
    assert crr == expected_crr != []


def dev_crr_events(run: Path) -> list[tuple[int, float]]:
    """Step and dev CRR of each epoch in the files of TensorBoard."""
    values: list[tuple[int, float]] = []
    for path in run.glob("events.*"):
        events = EventAccumulator(str(path)).Reload().Scalars("epoch/valid_crr")
        values += [(event.step, event.value) for event in events]
    return sorted(values)
