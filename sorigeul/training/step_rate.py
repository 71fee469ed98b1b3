"""How fast steps of training are: a program of its own, `python -m sorigeul.training.step_rate`.

It launches its processes as a run does. For each line of its standard input it takes steps on noise
for a moment, and prints the seconds of audio that all processes together learn from in a second.
`processes_or_threads` compares several such programs, which take turns.
"""

import os
import pickle
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

from sorigeul.base.memory import keep_freed_memory
from sorigeul.data.batches import longest_batch
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import devices
from sorigeul.training.learner import Learner
from sorigeul.training.settings import Settings

_TURN = 1.5  # seconds; at least one step
_MOST_BATCHES = 4  # of a step that accumulates; with more, the exchange of gradients hardly counts


@dataclass(frozen=True)
class Steps:
    """What is to be measured: a model, the batch of a process, and its utterances."""

    settings: Settings
    vocabulary: Vocabulary
    seconds: float
    """of each utterance"""
    characters: int
    """of each utterance"""

    def write(self, path: Path) -> None:
        """Write it for another process of ours; a file from elsewhere must never be read so."""
        path.write_bytes(pickle.dumps(self))


def measure(steps: Steps) -> None:
    """Print an empty line after a first step, then a rate for each line that is read."""
    settings = steps.settings.changed(  # the utterances are as long as they are said to be
        {"speed_perturbation": False, "silence_share": 0.0}, "step_rate"
    )
    fabric = devices.launch(settings.training, settings.some_frozen)
    learner = Learner(settings, steps.vocabulary, fabric)
    batch = longest_batch(
        steps.seconds, steps.characters, steps.vocabulary, settings.data, fabric.world_size
    )
    batch.augmented.fill_(settings.data.use_augment)
    count = fabric.world_size * (int(batch.token_lengths.sum()) + len(batch))
    batches = min(settings.training.accumulate, _MOST_BATCHES)
    audio = fabric.world_size * batches * float(batch.lengths.sum()) / SAMPLE_RATE
    learner.train()

    def step() -> None:
        learner.step(
            [batch] * batches,
            [count] * batches,
            settings.training.lr,
            settings.training.scheduled_sampling,
        )

    def any_process(value: bool) -> bool:
        return bool(devices.sum_over_processes(fabric, [value])[0])

    first = fabric.is_global_zero
    step()  # takes memory, and oneDNN compiles what it needs
    _print("", first)
    while any_process(first and sys.stdin.readline() != ""):
        times = [perf_counter()]
        while len(times) == 1 or any_process(first and times[-1] - times[0] < _TURN):
            step()
            times.append(perf_counter())
        _print(audio / median(end - begin for begin, end in pairwise(times)), first)


def _print(answer: object, first: bool) -> None:
    if first:
        print(answer, flush=True)


def main() -> None:
    """Measure what the file that the command line names asks for."""
    devices.exit_with_launcher(os.getppid())  # even if that was killed
    keep_freed_memory()
    steps: Steps = pickle.loads(Path(sys.argv[1]).read_bytes())
    measure(steps)


if __name__ == "__main__":
    main()
