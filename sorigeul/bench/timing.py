"""Times a piece of work: the quickest of several calls."""

import time
from collections.abc import Callable

import torch


def fastest_seconds(work: Callable[[], object], repeats: int, device: str = "cpu") -> float:
    """Seconds of the quickest of `repeats` calls, after one call to warm up.

    The quickest, since other work on the machine only ever adds time.
    """

    def seconds_of_a_call() -> float:
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    seconds_of_a_call()
    return min(seconds_of_a_call() for _ in range(repeats))
