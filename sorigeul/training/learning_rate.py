"""Learning-rate schedule: a linear warmup, then constant or half a cosine.

The cosine follows the steps, so that a seed gives the same run; or the clock, so that a machine
that is rented for an hour is used for an hour, however fast it is.
"""

import math

from sorigeul.training.settings import TrainingConfig


def learning_rate(
    training: TrainingConfig, step: int, epochs: float, seconds: float = 0.0
) -> float:
    """The learning rate of a step, before the listener's own factor.

    `step` counts from 1. `epochs` is the number of epochs done, including the share of the current
    one, and `seconds` the training time so far. The cosine falls to 0 at `max_epochs` or
    `max_steps`, whichever comes first; a timed one at `max_seconds`, if that comes before both.
    """
    warmup = min(1.0, step / training.warmup_steps) if training.warmup_steps else 1
    if training.lr_schedule == "constant":
        return training.lr * warmup
    progress = epochs / training.max_epochs
    if training.max_steps:
        progress = max(progress, step / training.max_steps)
    if training.lr_schedule == "timed-cosine":
        progress = max(progress, seconds / training.max_seconds)
    return training.lr * warmup * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
