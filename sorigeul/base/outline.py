"""The outline of a network: the shapes of its weights, without memory for the weights themselves.

So a configuration that claims a network of any size is looked at before it costs anything.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from sorigeul.base.errors import UserError
from sorigeul.base.machine import memory_gib

_BYTES_A_PARAMETER = 16  # in training: weight, gradient, and the two averages of Adam


def have_shapes_of(weights: Mapping[str, Tensor], build: Callable[[], nn.Module]) -> bool:
    """Whether weights have the names and shapes of those of the network that `build` makes."""
    expected = _outline(build).state_dict()
    return {name: tensor.shape for name, tensor in weights.items()} == {
        name: tensor.shape for name, tensor in expected.items()
    }


def refuse_too_large(build: Callable[[], nn.Module], device: torch.device, sizes: str) -> None:
    """Raise UserError if the network that `build` makes cannot be trained on a device.

    `sizes` names the settings that make it smaller.
    """
    parameters = sum(weight.numel() for weight in _outline(build).parameters())
    needed, gib = parameters * _BYTES_A_PARAMETER / 2**30, memory_gib(device)
    if gib is not None and needed > gib:
        raise UserError(
            f"a model of {parameters:,} parameters takes at least {needed:,.0f} GiB of memory to "
            f"train, and there are {gib:,.0f}: lower {sizes}"
        )


def _outline(build: Callable[[], nn.Module]) -> nn.Module:
    with without_memory():
        return build()


@contextmanager
def without_memory() -> Iterator[None]:
    """A network that is built in this context has shapes only, whatever its settings claim."""
    with torch.device("meta"), _WithoutNormal():
        yield


class _WithoutNormal(TorchFunctionMode):
    """Does not draw from a normal distribution: PyTorch needs seconds for its first one there."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func.__name__ == "normal_":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))
