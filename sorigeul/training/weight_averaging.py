"""Weights averaged: over the steps of a run, or over several models. Knows tensors alone."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_Tensors = list[Tensor] | tuple[Tensor, ...]


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of a model's weights, which is the model itself to begin with.

    Polyak and Juditsky 1992, with the decay of TensorFlow's ExponentialMovingAverage: after n
    updates ``min(decay, (1 + n) / (10 + n))``, so that the weights of the beginning are soon
    forgotten. Buffers (the statistics of batch normalisation) are the model's newest.
    """

    @torch.no_grad()
    def update(averages: _Tensors, newest: _Tensors, updates: int | Tensor) -> None:
        n = int(updates)
        torch._foreach_lerp_(averages, newest, 1 - min(decay, (1 + n) / (10 + n)))

    average = AveragedModel(model, multi_avg_fn=update)
    average.eval().requires_grad_(False)
    return average


def average_weights(models: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor of several state dicts, taken in float64; counts are rounded down."""
    return {
        name: torch.stack([model[name].double() for model in models]).mean(0).to(tensor.dtype)
        for name, tensor in models[0].items()
    }
