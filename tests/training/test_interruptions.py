"""Runs that are killed or asked to stop: they resume, and end as if nothing had happened.

Where a run is interrupted is stated by its calls and steps, never by time.
"""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from helpers.processes import (
    Forked,
    Pause,
    Ranks,
    forked_on_a_terminal,
    has_ended,
    wait_until,
)
from helpers.runs import (
    THREE_EPOCHS,
    checkpoints,
    config_option,
    identical,
    metrics_without_times,
    settings,
    state_without_times,
)
from helpers.trees import file_contents

from sorigeul.base.provenance import read_record
from sorigeul.training import run as run_module
from sorigeul.training.learner import Learner
from sorigeul.training.metrics import MetricsLog, read_metrics
from sorigeul.training.run import train

# Calls before which a run may be interrupted: in an epoch, between two of them, and while a file
# (checkpoint, model, settings, table) is written but has not replaced the older one yet.
CALLS = (
    (Learner, "step"),
    (MetricsLog, "write"),
    (run_module, "recognize"),
    (torch, "save"),
    (Path, "replace"),
)
STEP = ((Learner, "step"),)
LAST_CALL = 50  # of about 80 in the whole run, so that most interruptions hit it

WholeRun = Callable[[int], Path]


class InterruptedRun:
    """A run of `THREE_EPOCHS` that can be interrupted again and again, and then finished."""

    def __init__(self, corpus: Path, folder: Path, processes: int, num_workers: int) -> None:
        self.folder, self.processes = folder, processes
        self.run = folder / "run"
        option = config_option(folder / "s.yaml", **THREE_EPOCHS, num_workers=num_workers)
        self.command: list[str | Path] = ["train", corpus, self.run, *option]
        self.interruptions = 0

    def interrupt(self, random: Random) -> bool:
        """Start or resume the run, and interrupt it at a call drawn by `random`.

        SIGKILL hits one process, as when a machine runs out of memory, and torchrun then ends the
        others. The other signals hit all processes and their workers, as torchrun sends them.
        Returns whether the run was not at its end and had a checkpoint to resume from.
        """
        self.interruptions += 1
        output = self.folder / f"output{self.interruptions}"
        pause = Pause(random.randint(1, LAST_CALL), CALLS)
        ranks = Ranks(output, self.processes, *self.command, pause=pause)
        number = random.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        victim = random.choice(ranks)
        resumable = ranks[0].wait_until_paused() and bool(checkpoints(self.run))
        if number == signal.SIGKILL:
            victim.kill(number)
        for rank in ranks:
            rank.kill_group(signal.SIGTERM if number == signal.SIGKILL else number)
        for rank in ranks:
            done = rank.done()
            assert done.status in (0, 1, 130, -signal.SIGTERM, -number), done.err
            if number != signal.SIGKILL:  # after which a worker may miss its process
                assert "Traceback" not in done.err
        return resumable

    def finish(self) -> None:
        Ranks(self.folder / "last", self.processes, *self.command).expect_success()


def assert_same(run: Path, whole_run: Path) -> None:
    """The runs have the same metrics and the same state, except for `num_workers`."""
    assert metrics_without_times(run) == metrics_without_times(whole_run)
    state, expected = state_without_times(run), state_without_times(whole_run)
    for content in (state, expected):
        content["drawn_by"].pop("num_workers")
    assert identical(state, expected)


@pytest.mark.parametrize(("processes", "num_workers", "times"), [(1, 0, 2), (1, 1, 1), (2, 0, 1)])
def test_an_interrupted_run_ends_as_if_it_had_not_been_interrupted(
    babble: Path, tmp_path: Path, whole_run: WholeRun, processes: int, num_workers: int, times: int
) -> None:
    random = Random(f"{processes} {num_workers}")
    interrupted = InterruptedRun(babble, tmp_path, processes, num_workers)
    for _ in range(times):
        interrupted.interrupt(random)
    interrupted.finish()
    assert_same(interrupted.run, whole_run(processes))


@pytest.mark.prove
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_run_that_is_interrupted_many_times_ends_as_if_it_had_not_been(
    babble: Path, tmp_path: Path, whole_run: WholeRun, processes: int, num_workers: int
) -> None:
    resumable = 0
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        random = Random(f"{processes} {num_workers} {seed}")
        interrupted = InterruptedRun(babble, folder, processes, num_workers)
        resumable += sum(interrupted.interrupt(random) for _ in range(3))
        interrupted.finish()
        assert_same(interrupted.run, whole_run(processes))
    print(f"{resumable} of 12 interruptions hit a run that had a checkpoint and was not at its end")
    assert resumable >= 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_asked_to_stop_saves_a_checkpoint(
    babble: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The signal goes to its worker too: torchrun, Slurm and terminals send it to all processes."""
    run = tmp_path / "run"
    option = config_option(
        tmp_path / "s.yaml", **THREE_EPOCHS | {"max_epochs": 1000}, num_workers=1
    )
    process = Forked(tmp_path / "output", "train", babble, run, *option)
    process.wait_until(lambda: len(read_metrics(run, "epoch")) > 0)
    process.kill_group(number)
    done = process.done()
    assert done.status == 0, done.err
    message = re.search(r"stopped at step (\d+); the same command goes on from there", done.err)
    assert message
    assert checkpoints(run)[-1].name == f"step-{int(message[1]):09d}.pt"
    assert "error" not in done.err


def test_a_run_whose_terminal_is_closed_saves_a_checkpoint(babble: Path, tmp_path: Path) -> None:
    """The terminal takes its line discipline with it: each further write to it is an error."""
    run = tmp_path / "run"
    option = config_option(tmp_path / "s.yaml", **THREE_EPOCHS | {"max_epochs": 1000})
    pid, terminal = forked_on_a_terminal("train", babble, run, *option)
    shown = b""
    while not read_metrics(run, "epoch"):  # the progress bar fills the terminal
        shown += os.read(terminal, 1000)
    os.close(terminal)
    assert wait_until(lambda: has_ended(pid))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    record = read_record(run)
    assert record is not None
    assert not record["finished"]
    newest = torch.load(checkpoints(run)[-1], weights_only=True)
    assert newest["position"]["seconds"] == pytest.approx(record["training_seconds"], abs=0.1)
    assert b"epoch 0" in shown


def test_the_second_of_two_runs_in_one_folder_is_refused(babble: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    option = config_option(tmp_path / "s.yaml", **THREE_EPOCHS)
    first = Forked(tmp_path / "first", "train", babble, run, *option, pause=Pause(2, STEP))
    assert first.wait_until_paused()
    before = file_contents(run)
    for name, restart in (("plain", []), ("anew", ["--restart"])):
        second = Forked(tmp_path / name, "train", babble, run, *option, *restart).done()
        assert second.status == 2
        assert second.error().startswith(f"{run} is being written by process {first.pid} on ")
    assert file_contents(run) == before
    first.kill(signal.SIGKILL)
    assert first.done().status == -signal.SIGKILL
    assert Forked(tmp_path / "third", "train", babble, run, *option).done().status == 0
    assert not (run / ".lock").exists()


def test_all_processes_stop_if_one_is_asked_to(babble: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    option = config_option(tmp_path / "s.yaml", **THREE_EPOCHS | {"max_epochs": 1000})
    ranks = Ranks(tmp_path, 2, "train", babble, run, *option)
    ranks[1].wait_until(lambda: len(checkpoints(run)) >= 2)
    ranks[1].kill(signal.SIGTERM)
    ranks.expect_success()
    assert "the same command goes on" in ranks[0].done().err
    assert ranks[1].done().err == ""


def test_files_that_a_killed_process_left_unfinished_are_removed(
    babble: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    unfinished = run / "checkpoints" / ".step-000000001.x7.pt"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"half a st")
    train(babble, run, settings())
    assert not unfinished.exists()
    assert checkpoints(run)
