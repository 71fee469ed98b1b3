"""Averages of weights: a moving average over training steps, and the mean of several models."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_Tensors = list[Tensor] | tuple[Tensor, ...]


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of a model's weights; it starts as a copy of the model.

    Polyak and Juditsky 1992, with the decay of TensorFlow's ExponentialMovingAverage: after n
    updates ``min(decay, (1 + n) / (10 + n))``, so that the first weights are soon forgotten.
    Buffers (the statistics of batch normalisation) are not averaged: the model's newest are used.
    """

    @torch.no_grad()
    def update(averages: _Tensors, newest: _Tensors, updates: int | Tensor) -> None:
        n = int(updates)
        torch._foreach_lerp_(averages, newest, 1 - min(decay, (1 + n) / (10 + n)))

    average = AveragedModel(model, multi_avg_fn=update)
    average.eval().requires_grad_(False)
    return average


def average_weights(state_dicts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor over several state dicts.

    Computed in float64 and returned in the tensor's own dtype; integers are rounded down.
    """
    return {
        name: torch.stack([weights[name].double() for weights in state_dicts])
        .mean(0)
        .to(tensor.dtype)
        for name, tensor in state_dicts[0].items()
    }
