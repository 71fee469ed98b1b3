"""Measures the package against yardsticks in the same run, on the same work.

A figure is a number, its unit, what it is compared with and the ratio to it (above 1: better). The
suites can be run alone; the report rewrites the tables of `BENCHMARKS.md` and draws its plots.
"""

from collections.abc import Iterator

import torch

from sorigeul.bench.measurements import Measurement
from sorigeul.bench.yardsticks import matrix_rate, memory_rate


def device_type() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def measure_machine() -> Iterator[Measurement]:
    """What everything else has to be seen against."""
    device = device_type()
    for kind in (torch.float32, torch.bfloat16):
        name = str(kind).removeprefix("torch.")
        yield Measurement(f"matrix product, {name}", matrix_rate(kind, device) / 1e9, "GFLOP/s")
    yield Measurement("memory, copy", memory_rate(device) / 1e9, "GB/s")
