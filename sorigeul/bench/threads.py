"""Benchmark suite "threads": what several cores bring to training steps and to recognition.

Training steps alone on the machine and beside a busy neighbour; batches of recognition side by side
and one after the other.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import repeat, takewhile
from statistics import median
from time import perf_counter

from sorigeul.base.thread_pool import MOST_BATCHES, BatchThreads
from sorigeul.base.threads import COUNT, prepare_threads, usable_cores
from sorigeul.bench.measurements import Measurement, Target

_BATCH = (16, 3.0, 18)
"""utterances, seconds and characters of each, of a step of the quick start's model"""
_SECONDS = 8.0
_ROUNDS = 5
_RECOGNIZED = (16, 3)
"""utterances, and seconds of each, of a batch that the quick start's model recognises"""
_TRAINING = "from sorigeul.bench.threads import print_training_rate; print_training_rate()"
_RECOGNITION = (
    "from sorigeul.bench.threads import print_recognition_rate; print_recognition_rate({})"
)
_NEIGHBOUR = "while True: pass"


def measure_threads() -> Iterator[Measurement]:
    """Measure training and recognition as they are, against one thread, and other ways to use all.

    Each in a process of its own, by turns, since other work on the machine comes and goes.
    """
    ours, alone, one = _environment(), _environment(), _environment()
    prepare_threads(ours)
    one[COUNT] = "1"
    training = [(_TRAINING, environment) for environment in (ours, alone, one)]
    idle = _median_rates(*training)
    with _busy_neighbour():
        busy = _median_rates(*training)
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
    together, split, single = _median_rates(
        (_RECOGNITION.format(True), ours),
        (_RECOGNITION.format(False), ours),
        (_RECOGNITION.format(True), one),
    )
    cores = usable_cores()
    yield Measurement(
        name=f"recognition, quickstart, a beam, batches side by side on {cores} cores",
        value=together,
        unit="audio-s/s",
        yardstick=f"one thread: {single:.0f}, one batch after the other on all: {split:.0f}",
        ratio=together / single,
        targets=(Target("ratio", "at least", 0.8 * cores, "Python runs one thread at a time"),)
        if 1 < cores <= MOST_BATCHES
        else (),
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


def print_recognition_rate(side_by_side: bool) -> None:
    """Print how many seconds of audio a second are recognised. The work of a child process.

    The model is untrained, and writes as many characters as there may be.
    """
    import torch

    from sorigeul.bench.synthetic import synthetic_speech
    from sorigeul.model.las import ListenAttendSpell
    from sorigeul.pretrained.description import PretrainedModel
    from sorigeul.recognition.recognizer import Recognizer
    from sorigeul.sound.audio import SAMPLE_RATE
    from sorigeul.sound.segments import SpeechSegment
    from sorigeul.text.vocabulary import SPECIALS, Vocabulary
    from sorigeul.training.settings import Settings

    torch.manual_seed(0)
    vocabulary = Vocabulary((*(chr(0xAC00 + unit) for unit in range(500)), *SPECIALS))
    settings = Settings.preset("quickstart")
    model = ListenAttendSpell(replace(settings.model, vocabulary_size=len(vocabulary))).eval()
    recognizer = Recognizer(PretrainedModel(model, settings.features, vocabulary, "", {}))
    utterances, seconds = _RECOGNIZED
    batch = [
        SpeechSegment(synthetic_speech(seconds, seed), 0, seconds * SAMPLE_RATE)
        for seed in range(utterances)
    ]
    recognizer.recognize(batch)
    begin = perf_counter()
    batches = takewhile(lambda _: perf_counter() < begin + _SECONDS, repeat(batch))
    with recognizer.threads() if side_by_side else BatchThreads(1) as threads:
        recognized = sum(1 for _ in threads.map(recognizer.recognize, batches))
    print(recognized * utterances * seconds / (perf_counter() - begin))


def _environment() -> dict[str, str]:
    """The environment without what anybody says of threads, which all usable cores have."""
    others = {
        name: value for name, value in os.environ.items() if not name.startswith(("OMP", "GOMP"))
    }
    return others | {COUNT: str(usable_cores())}


def _median_rates(*children: tuple[str, dict[str, str]]) -> list[float]:
    """The median of the rates that each child prints, which is a program and its environment."""
    rates: list[list[float]] = [[] for _ in children]
    for _ in range(_ROUNDS):
        for each, (program, environment) in zip(rates, children, strict=True):
            command = [sys.executable, "-c", program]
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
