"""Small runs on noise: their settings, and what is in their folders."""

from pathlib import Path
from typing import Any

import torch

from sorigeul.training.metrics import read_metrics
from sorigeul.training.settings import Settings

TINY: dict[str, Any] = {
    "hidden_size": 8,
    "conv_channels": 4,
    "listener_layer_size": 3,
    "speller_layer_size": 1,
    "n_mels": 20,
    "batch_size": 4,
    "max_steps": 3,
    "lr": 0.01,
}

THREE_EPOCHS: dict[str, Any] = {
    "max_steps": 0,
    "max_epochs": 3,
    "checkpoint_every": 3,
    "log_every": 2,
    # Everything that draws random numbers, shares weights or averages them.
    "plain_epochs": 1,
    "speed_perturbation": True,
    "scheduled_sampling": 0.3,
    "share_letters": True,
    "jamo_ctc_weight": 0.3,
    "ema_decay": 0.9,
}
"""Changes to `TINY` for a run with checkpoints in the middle of its epochs, of six or seven steps
each on the corpus `babble`."""


def settings(**changes: Any) -> Settings:
    """`TINY` with changes."""
    return Settings().changed({**TINY, **changes}, "test")


def config_option(path: Path, **changes: Any) -> list[str | Path]:
    """Write `TINY` with changes to a file; return the option that names it."""
    path.write_text(settings(**changes).to_yaml(), encoding="utf-8")
    return ["--config", path]


def metrics_without_times(run: Path) -> list[dict[str, Any]]:
    """All metrics of a run, except for those that depend on how long it took."""
    timed = ("seconds", "per_second", "waiting")
    return [
        {name: value for name, value in row.items() if not any(word in name for word in timed)}
        for row in read_metrics(run)
    ]


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step-*.pt"))


def state_without_times(run: Path) -> dict[str, Any]:
    """The content of the newest checkpoint, except for how long things took."""
    state: dict[str, Any] = torch.load(checkpoints(run)[-1], weights_only=True)
    for section in ("position", "tally"):
        state[section].pop("seconds")
    state["position"].pop("started")
    return state


def weights(run: Path) -> dict[str, torch.Tensor]:
    """The weights in the newest checkpoint."""
    state = torch.load(max((run / "checkpoints").glob("*.pt")), weights_only=True)
    model: dict[str, torch.Tensor] = state["model"]
    return model


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two state dicts are equal to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def identical(one: Any, other: Any) -> bool:
    """Whether two nested structures of tensors and plain values are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(identical(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(identical, one, other))
    return bool(one == other)
