"""Speed of the machine itself: matrix products and memory."""

from collections.abc import Iterator
from functools import partial

import torch

from sorigeul.bench.measurements import Measurement
from sorigeul.bench.timing import fastest_seconds

_LARGEST_MATRIX = 4096  # rows and columns: 2 x 4096^3 operations keep a GPU busy for a while
_LONG_ENOUGH = 0.1  # seconds that a product must take to be measured well
_COPIED_NUMBERS = 64 * 2**20  # float32, larger than any cache


def device_type() -> str:
    """Device that is measured: cuda if there is a GPU, else cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def measure_machine() -> Iterator[Measurement]:
    """What the machine can do at most, to compare everything else with."""
    device = device_type()
    for dtype in (torch.float32, torch.bfloat16):
        yield Measurement(
            name=f"matrix product, {str(dtype).removeprefix('torch.')}",
            value=matrix_rate(dtype, device) / 1e9,
            unit="GFLOP/s",
        )
    yield Measurement(name="memory, copy", value=memory_rate(device) / 1e9, unit="GB/s")


def matrix_rate(dtype: torch.dtype, device: str) -> float:
    """Operations a second in a product of two large matrices.

    The matrices grow until a product takes a while: a processor without bfloat16 needs a minute for
    a size that others multiply in a hundredth of a second.
    """
    size, largest = 256, _LARGEST_MATRIX if device == "cuda" else _LARGEST_MATRIX // 2
    while True:
        matrix = torch.randn(size, size, device=device).to(dtype)
        product = partial(torch.matmul, matrix, matrix)
        if size == largest or fastest_seconds(product, 1, device) > _LONG_ENOUGH:
            return 2 * size**3 / fastest_seconds(product, 5, device)
        size *= 2


def memory_rate(device: str) -> float:
    """Bytes a second that a copy reads and writes."""
    source = torch.zeros(_COPIED_NUMBERS, device=device)
    target = torch.zeros(_COPIED_NUMBERS, device=device)
    return 2 * source.nbytes / fastest_seconds(lambda: target.copy_(source), 5, device)
