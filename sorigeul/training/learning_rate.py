"""Learning-rate schedule: a linear warmup, then constant or half a cosine."""

import math

from sorigeul.training.settings import TrainingConfig


def learning_rate(training: TrainingConfig, step: int, epochs: float) -> float:
    """The learning rate of a step, before the listener's own factor.

    `step` counts from 1. `epochs` is the number of epochs done, including the share of the current
    one. The cosine falls to 0 at `max_epochs` or `max_steps`, whichever comes first.
    """
    warmup = min(1.0, step / training.warmup_steps) if training.warmup_steps else 1
    if training.lr_schedule == "constant":
        return training.lr * warmup
    progress = epochs / training.max_epochs
    if training.max_steps:
        progress = max(progress, step / training.max_steps)
    return training.lr * warmup * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
