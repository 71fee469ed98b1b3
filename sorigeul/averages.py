"""Weights averaged: over the steps of a run, or over several models. Knows tensors alone."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class MovingAverage(Generic[Model]):
    """The exponential moving average of a model's weights, as a model of its own.

    Polyak and Juditsky 1992, with the decay of TensorFlow's ExponentialMovingAverage: after n
    updates ``min(decay, (1 + n) / (10 + n))``, so that the weights of the beginning are soon
    forgotten. Buffers (the statistics of batch normalisation) are the model's newest.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: Model) -> None:
        """Take in the weights of `model` after one more step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for own, now in zip(self.model.parameters(), model.parameters(), strict=True):
            own.lerp_(now, 1 - decay)
        for statistic, newest in zip(self.model.buffers(), model.buffers(), strict=True):
            statistic.copy_(newest)

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors to go on from."""
        return {"updates": self.updates, "weights": self.model.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state_dict` gave."""
        self.updates = state["updates"]
        self.model.load_state_dict(state["weights"])


def mean(models: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor of several state dicts, taken in float64; counts are rounded down."""
    return {
        name: torch.stack([model[name].double() for model in models]).mean(0).to(tensor.dtype)
        for name, tensor in models[0].items()
    }
