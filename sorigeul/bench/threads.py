"""Benchmark suite "threads": training steps alone on the machine, and beside a busy neighbour."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from time import perf_counter

from sorigeul.base.threads import COUNT, prepare_threads, usable_cores
from sorigeul.bench.measurements import Measurement, Target

_BATCH = (16, 3.0, 18)
"""utterances, seconds and characters of each, of a step of the quick start's model"""
_SECONDS = 8.0
_ROUNDS = 5
_CHILD = "from sorigeul.bench.threads import print_training_rate; print_training_rate()"
_NEIGHBOUR = "while True: pass"


def measure_threads() -> Iterator[Measurement]:
    """Measure a training as it is, against one thread and against PyTorch left alone.

    Each in a process of its own, by turns, since other work on the machine comes and goes.
    """
    ours, alone, one = _environment(), _environment(), _environment()
    prepare_threads(ours)
    one[COUNT] = "1"
    idle = _median_rates(ours, alone, one)
    with _busy_neighbour():
        busy = _median_rates(ours, alone, one)
    yield Measurement(
        name="training steps, quickstart, nothing else running",
        value=idle[0],
        unit="audio-s/s",
        yardstick=f"threads that never sleep: {idle[1]:.0f}, one thread: {idle[2]:.0f}",
        ratio=idle[0] / idle[1],
        targets=(Target("ratio", "at least", 0.95, "waking a thread takes time"),),
    )
    yield Measurement(
        name="training steps, quickstart, beside a busy neighbour",
        value=busy[0],
        unit="audio-s/s",
        yardstick=f"one thread: {busy[2]:.0f}, threads that never sleep: {busy[1]:.0f}",
        ratio=busy[0] / busy[2],
        targets=(Target("ratio", "at least", 0.8, "each step waits for the slower thread"),),
    )


def print_training_rate() -> None:
    """Print how many seconds of audio a second training steps take. The work of a child process."""
    import torch

    from sorigeul.bench.plain_las import random_batch
    from sorigeul.bench.training import training_step
    from sorigeul.model.las import ListenAttendSpell
    from sorigeul.training.settings import Settings

    torch.manual_seed(0)
    config = replace(Settings.preset("quickstart").model, vocabulary_size=2000)
    features, tokens = random_batch(*_BATCH, "cpu")
    bands = features[..., : config.n_mels]
    step = training_step(ListenAttendSpell(config), bands, tokens, torch.float32)
    for _ in range(2):
        step()
    steps, begin = 0, perf_counter()
    while perf_counter() < begin + _SECONDS:
        step()
        steps += 1
    utterances, seconds, _ = _BATCH
    print(steps * utterances * seconds / (perf_counter() - begin))


def _environment() -> dict[str, str]:
    """The environment without what anybody says of threads, which all usable cores have."""
    others = {
        name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP"))
    }
    return others | {COUNT: str(usable_cores())}


def _median_rates(*environments: dict[str, str]) -> list[float]:
    rates: list[list[float]] = [[] for _ in environments]
    for _ in range(_ROUNDS):
        for each, environment in zip(rates, environments, strict=True):
            command = [sys.executable, "-c", _CHILD]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            )
            each.append(float(done.stdout))
    return [median(each) for each in rates]


@contextmanager
def _busy_neighbour() -> Iterator[None]:
    """Another process that computes all the time, on one thread."""
    with subprocess.Popen([sys.executable, "-c", _NEIGHBOUR]) as process:
        try:
            yield
        finally:
            process.kill()
