"""Small runs on noise: their settings, and what they left behind."""

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


LONG: dict[str, Any] = {
    "max_steps": 0,
    "max_epochs": 4,
    "checkpoint_every": 3,
    "log_every": 2,
    # Whatever draws, shares or averages.
    "plain_epochs": 1,
    "speed_perturbation": True,
    "scheduled_sampling": 0.3,
    "share_letters": True,
    "ema_decay": 0.9,
}


def settings(**changes: Any) -> Settings:
    return Settings().changed({**TINY, **changes}, "test")


def curve(run: Path) -> list[dict[str, Any]]:
    """All that a run measured, but for how long it took."""
    timed = ("seconds", "per_second", "waiting")
    return [
        {name: value for name, value in row.items() if not any(word in name for word in timed)}
        for row in read_metrics(run)
    ]


def weights(run: Path) -> dict[str, torch.Tensor]:
    state = torch.load(max((run / "checkpoints").glob("*.pt")), weights_only=True)
    model: dict[str, torch.Tensor] = state["model"]
    return model


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def config(path: Path, **changes: Any) -> list[str | Path]:
    """Write settings down; return the options that name them."""
    path.write_text(settings(**changes).to_yaml(), encoding="utf-8")
    return ["--config", path]


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "checkpoints").glob("step-*.pt"))


def state(run: Path) -> dict[str, Any]:
    """All that the last checkpoint holds, but for how long things took."""
    found: dict[str, Any] = torch.load(checkpoints(run)[-1], weights_only=True)
    for part in ("position", "tally"):
        found[part].pop("seconds")
    found["position"].pop("started")
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal to the bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
