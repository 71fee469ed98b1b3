"""The learning-rate schedule: warmup, then constant or half a cosine."""

import pytest

from sorigeul.base.errors import UserError
from sorigeul.training.learning_rate import learning_rate
from sorigeul.training.settings import TrainingConfig


def test_without_warmup_a_constant_rate_is_constant() -> None:
    config = TrainingConfig(lr=0.5)
    assert [learning_rate(config, step, step / 10) for step in (1, 7, 300)] == [0.5] * 3


def test_the_warmup_rises_linearly() -> None:
    config = TrainingConfig(lr=0.5, warmup_steps=4)
    rates = [learning_rate(config, step, 0.0) for step in (1, 2, 3, 4, 5)]
    assert rates == [0.125, 0.25, 0.375, 0.5, 0.5]


def test_the_cosine_falls_to_zero_at_the_nearer_of_max_epochs_and_max_steps() -> None:
    by_epochs = TrainingConfig(lr=1.0, lr_schedule="cosine", max_epochs=4)
    rates = [learning_rate(by_epochs, 1, epochs) for epochs in (0.0, 2.0, 4.0, 5.0)]
    assert rates == pytest.approx([1.0, 0.5, 0.0, 0.0])
    by_steps = TrainingConfig(lr=1.0, lr_schedule="cosine", max_epochs=4, max_steps=10)
    assert learning_rate(by_steps, 5, 0.1) == pytest.approx(0.5)
    assert learning_rate(by_steps, 10, 0.2) == pytest.approx(0.0)


def test_a_timed_cosine_falls_to_zero_at_the_end_of_max_seconds() -> None:
    config = TrainingConfig(lr=1.0, lr_schedule="timed-cosine", max_epochs=100, max_seconds=60)
    rates = [learning_rate(config, 7, 0.1, seconds) for seconds in (0.0, 30.0, 60.0, 61.0)]
    assert rates == pytest.approx([1.0, 0.5, 0.0, 0.0], abs=1e-4)


def test_a_timed_cosine_without_max_seconds_is_refused() -> None:
    with pytest.raises(UserError, match="timed-cosine needs max_seconds"):
        TrainingConfig(lr_schedule="timed-cosine")
