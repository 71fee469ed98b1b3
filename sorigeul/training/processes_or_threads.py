"""What `--devices auto` means: how many processes a run has, decided once, before it begins.

On a CPU several processes of few threads, which share a batch, may train faster than one process of
all threads, or slower; that depends on model and machine, so it is measured (`step_rate`). What was
decided is in the settings of the run from then on: its `config.yaml` has numbers.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import compress, repeat
from operator import truediv
from pathlib import Path
from statistics import median
from threading import Timer

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from sorigeul.base import capacity, threads
from sorigeul.base.errors import UserError
from sorigeul.base.locks import locked_folder
from sorigeul.base.stopping import interrupted_by_stop_signals
from sorigeul.data import manifests
from sorigeul.data.config import DataConfig
from sorigeul.data.mixing import by_name, mix
from sorigeul.training import devices
from sorigeul.training.run_folder import claim_folder
from sorigeul.training.settings import RUN_CONFIG, Settings
from sorigeul.training.starting_point import start_vocabulary, with_encoder
from sorigeul.training.step_rate import Steps

log = logging.getLogger(__name__)

_DECIDED = "SORIGEUL_DECIDED"  # environment variable: what the process that started others decided
_GAIN = 1.05  # by which several processes must be faster than one: they take more memory
_ROUNDS = 4  # of turns of all layouts, since other work on the machine comes and goes
_MEASURED = 20.0  # seconds after which no further round begins
_LONGEST = 60.0  # seconds; a layout that has not been measured by then is not chosen
_PROCESS_GIB = 1.5  # of a process that trains a small model

Changes = Mapping[str, int | float]
"""settings by name"""


@dataclass(frozen=True)
class Layout:
    """A way to use the threads of a machine: so many processes, each with so many threads."""

    processes: int
    threads: int
    changes: Changes
    """the settings of the run: the number of processes, and the share of a batch that each has"""

    def __str__(self) -> str:
        several = "es" * (self.processes > 1)
        return (
            f"{self.processes} process{several} of {self.threads} thread{'s' * (self.threads > 1)}"
        )


def decide(
    settings: Settings, corpora: Path | Sequence[Path], folder: Path, restart: bool
) -> Settings:
    """`settings` with a number in place of `devices` auto, for the arguments of `run.train`.

    Under torchrun and Slurm it is as if `devices` were left out. A run that the folder holds keeps
    its number. A new one has all GPUs; or on a CPU the processes that are measured to train
    fastest. On a CPU these share the batch among them. Raises UserError if the run could not begin,
    and KeyboardInterrupt if it is asked to stop while it measures.
    """
    if settings.training.devices != "auto":
        return settings
    changes = _decided(settings, corpora, folder, restart)
    if changes["devices"] > 1:
        os.environ[_DECIDED] = json.dumps(changes)
    return settings.changed(changes, "devices auto")


def _decided(
    settings: Settings, corpora: Path | Sequence[Path], folder: Path, restart: bool
) -> Changes:
    starter = devices.started_by()
    if not isinstance(starter, LightningEnvironment):
        return {"devices": 1}
    if starter.creates_processes_externally:  # by the first process of the run, or by hand
        decided: Changes = json.loads(os.environ.get(_DECIDED, '{"devices": 1}'))
        return decided
    if (folder / RUN_CONFIG).is_file() and not restart:
        return _as_begun(settings, Settings.of_run(folder), folder)
    if torch.cuda.is_available():
        return {"devices": torch.cuda.device_count()}
    if threads.thread_count() == 1:
        log.info("devices auto: one process, since there is one thread")
        return {"devices": 1}
    # A folder in which the run could not begin is refused before the measurement.
    with locked_folder(folder), interrupted_by_stop_signals():
        if not restart:
            claim_folder(folder, Settings, restart)
        return _fastest(_steps(settings, corpora, folder), threads.thread_count())


def _as_begun(settings: Settings, begun: Settings, folder: Path) -> Changes:
    """The number of processes of the run in a folder, and the share of a batch that each has.

    `settings` may have that share already, if they come from the folder; else they have what all
    processes are to share.
    """
    processes = begun.training.devices
    if processes == "auto":  # in a config.yaml that somebody wrote
        return {"devices": 1}
    if torch.cuda.is_available():
        return {"devices": processes}
    changes: dict[str, int | float] = {"devices": processes, "batch_size": begun.data.batch_size}
    name = "batch_seconds" if settings.data.batch_seconds else "batch_size"
    given, share = settings.flat()[name], begun.flat()[name]
    if given != share:
        share = type(given)(given / processes)
        if share * processes != given:
            raise UserError(
                f"{name} {given:g} cannot be shared evenly by the {processes} processes that "
                f"{folder} was begun with: choose a multiple of {processes}, or give devices as a "
                "number"
            )
    changes[name] = share
    log.info("devices auto: %s, as in %s", _listed(changes), folder / RUN_CONFIG)
    return changes


def _steps(settings: Settings, corpora: Path | Sequence[Path], folder: Path) -> Steps:
    """Steps of the run: on utterances of their mean length, by a model with random weights."""
    settings = with_encoder(settings, folder)
    moved_to = settings.data.audio_root
    named = by_name([corpora] if isinstance(corpora, Path) else corpora)
    cuts = {
        name: manifests.required_manifest(corpus, "train", moved_to)
        for name, corpus in named.items()
    }
    mixture = mix(cuts, settings.data.weights, settings.training.seed)
    statistics = mixture.statistics
    vocabulary, _ = start_vocabulary(settings, statistics.characters, mixture.cuts)
    utterances = max(statistics.utterances, 1)
    return Steps(
        settings,
        vocabulary,
        seconds=max(statistics.seconds / utterances, 0.1),
        characters=max(round(statistics.characters.total() / utterances), 1),
    )


# On a CPU.


def layouts(
    data: DataConfig, thread_count: int, utterance: float, free: float | None
) -> Iterator[Layout]:
    """The layouts that are worth measuring, first that of one process.

    Left out are those whose processes cannot share a batch evenly, with an utterance (seconds) for
    each at least, and those that are too much for the `free` memory (GiB) while all are measured.
    """
    counts = {1: thread_count, thread_count: 1}
    if thread_count >= 4 and thread_count % 2 == 0:
        counts[thread_count // 2] = 2
    needed = 0.0
    for processes, of_each in counts.items():
        changes: dict[str, int | float] = {"devices": processes}
        if data.batch_seconds:
            changes["batch_seconds"] = data.batch_seconds / processes
            divides = changes["batch_seconds"] >= utterance
        else:
            changes["batch_size"], rest = divmod(data.batch_size, processes)
            divides = not rest
        fits = free is None or needed + processes * _PROCESS_GIB <= free
        if processes == 1 or (divides and fits):
            needed += processes * _PROCESS_GIB
            yield Layout(processes, of_each, changes)


def _fastest(steps: Steps, thread_count: int) -> Changes:
    """Measure the layouts of so many threads; the settings of the best."""
    data, free = steps.settings.data, capacity.free_gib()
    measured = list(layouts(data, thread_count, steps.seconds, free))
    if len(measured) == 1:
        even = len(list(layouts(data, thread_count, steps.seconds, None))) > 1
        reason = "more than the free memory" if even else "a batch that can be shared evenly"
        log.info("devices auto: one process, since several would need %s", reason)
        return measured[0].changes
    log.info(
        "devices auto: measuring whether several processes train faster than one; it takes about "
        "half a minute"
    )
    rates = step_rates(measured, steps)
    best = measured[choose(rates)]
    log.info("%s: %s", _described(measured, rates), _listed(best.changes))
    return best.changes


def step_rates(measured: Sequence[Layout], steps: Steps) -> list[list[float]]:
    """Seconds of audio that each layout learns from in a second, by rounds; none if it cannot."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="sorigeul-")))
        trials = [held.enter_context(_Trial(one, steps, folder)) for one in measured]

        def give_up() -> None:
            for trial in trials:
                trial.kill()

        too_long = Timer(_LONGEST, give_up)
        held.callback(too_long.cancel)
        too_long.start()
        rates: list[list[float]] = [[] for _ in trials]
        going = [trial.is_ready() for trial in trials]
        begin = time.monotonic()
        for _ in range(_ROUNDS):
            for number in compress(range(len(trials)), list(going)):
                rate = trials[number].rate()
                going[number] = rate is not None
                rates[number] = [*rates[number], rate] if rate is not None else []
            if time.monotonic() - begin > _MEASURED:
                break
        return rates


def choose(rates: Sequence[Sequence[float]]) -> int:
    """Which layout is the fastest; the first, of one process, unless another is so by `_GAIN`.

    Rates are compared within their rounds.
    """
    one, *others = rates
    gains = [median(map(truediv, own, one or repeat(1.0))) if own else 0.0 for own in others]
    best = max(gains)
    return 1 + gains.index(best) if best > (_GAIN if one else 0.0) else 0


class _Trial:
    """A program that trains in a layout when it is asked to, as `sorigeul train` would; a context.

    Its first process starts the others. It may fail, for lack of memory say, and a run in this
    layout will tell why.
    """

    def __init__(self, layout: Layout, steps: Steps, folder: Path) -> None:
        file = folder / f"steps-{layout.processes}"
        settings = steps.settings.changed(layout.changes, "devices auto")
        replace(steps, settings=settings).write(file)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sorigeul.training.step_rate", str(file)],
            env={**os.environ, threads.COUNT: str(layout.processes * layout.threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # its processes are a group, and Ctrl-C is for us to answer
        )

    def __enter__(self) -> "_Trial":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.communicate()

    def is_ready(self) -> bool:
        """Wait for its first step; false if it has failed."""
        return self._answer() != ""

    def rate(self) -> float | None:
        """Let it train for a moment: seconds of audio a second; None if it has failed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            return float(self._answer())
        except (OSError, ValueError):
            return None

    def kill(self) -> None:
        """End its processes, whatever they do."""
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


# What is said of it.


def _described(measured: Sequence[Layout], rates: Sequence[Sequence[float]]) -> str:
    found = (
        f"{f'{median(own):.0f}' if own else 'none'} with {layout}"
        for layout, own in zip(measured, rates, strict=True)
    )
    return f"audio-seconds a second in training: {', '.join(found)}"


def _listed(changes: Changes) -> str:
    devices, *batch = (f"{name} {value:g}" for name, value in changes.items() if value)
    each = " each" if changes["devices"] > 1 and batch else ""
    return ", ".join([devices, *batch]) + each
