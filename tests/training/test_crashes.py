"""Processes that die, memory that runs out, full disks: explained in a line, and nothing hangs."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.processes import Forked, Pause, Ranks, children, has_ended, wait_until
from helpers.runs import (
    THREE_EPOCHS,
    checkpoints,
    config_option,
    identical,
    metrics_without_times,
    settings,
    state_without_times,
)

from sorigeul.training.learner import Learner
from sorigeul.training.run import train

STEP = ((Learner, "step"),)
WholeRun = Callable[[int], Path]
Start = Callable[..., Forked]


# Processes that die


def test_the_death_of_a_worker_is_explained_and_the_run_can_be_resumed(
    babble: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    one_epoch = {**THREE_EPOCHS, "max_epochs": 1}
    option = config_option(tmp_path / "s.yaml", **one_epoch, num_workers=1)
    # In the middle of the epoch, after a checkpoint at step 3.
    process = Forked(tmp_path / "output", "train", babble, run, *option, pause=Pause(5, STEP))
    assert process.wait_until_paused()
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGKILL)
    assert wait_until(lambda: has_ended(worker))
    process.kill(signal.SIGCONT)
    done = process.done()
    assert done.status == 1
    assert done.error().startswith("a process that decodes audio has died (")
    assert "the same command goes on from the last checkpoint" in done.error()
    assert Forked(tmp_path / "again", "train", babble, run, *option).done().status == 0
    train(babble, tmp_path / "whole", settings(**one_epoch))
    assert metrics_without_times(run) == metrics_without_times(tmp_path / "whole")


@pytest.mark.parametrize("victim", [0, 1])
def test_if_a_process_dies_the_other_one_ends(babble: Path, tmp_path: Path, victim: int) -> None:
    run = tmp_path / "run"
    option = config_option(tmp_path / "s.yaml", **THREE_EPOCHS | {"max_epochs": 1000})
    ranks = Ranks(tmp_path, 2, "train", babble, run, *option)
    ranks[0].wait_until(lambda: bool(checkpoints(run)))
    ranks[victim].kill(signal.SIGKILL)
    survivor = ranks[1 - victim].done()
    assert survivor.status == 1
    if victim == 1:
        assert survivor.error().startswith("another process of the run has ended")
    else:  # only the first process reports
        assert survivor.err == ""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a module as a command, and ends what is left of it."""
    started: list[Forked] = []

    def start_module(module: str, *arguments: str | Path) -> Forked:
        started.append(Forked(tmp_path / "output", *arguments, module=module))
        return started[-1]

    yield start_module
    for process in started:
        process.kill_group(signal.SIGKILL)


@pytest.mark.parametrize(
    ("launcher", "victim"),
    [
        ("devices", "child"),
        pytest.param("torchrun", "child", marks=pytest.mark.prove),
        pytest.param("devices", "launcher", marks=pytest.mark.prove),
    ],
)
def test_if_a_process_dies_the_command_ends(
    babble: Path, tmp_path: Path, start: Start, launcher: str, victim: str
) -> None:
    run = tmp_path / "run"
    option = config_option(tmp_path / "s.yaml", **THREE_EPOCHS | {"max_epochs": 100_000})
    command: list[str | Path] = ["train", babble, run, *option]
    if launcher == "torchrun":
        options = ("--standalone", "--nproc-per-node=2", "-m", "sorigeul", *command)
        job = start("torch.distributed.run", *options)
    else:
        job = start("sorigeul", *command, "--devices", "2")

    def reached() -> bool:
        # The launcher dies before it has met the other process, which nothing else would end.
        return bool(checkpoints(run) if victim == "child" else children(job.pid))

    assert job.wait_until(reached), job.done().err
    ranks = children(job.pid)
    assert ranks
    os.kill(ranks[-1] if victim == "child" else job.pid, signal.SIGKILL)
    done = job.done()
    assert wait_until(lambda: all(map(has_ended, ranks))), done.err
    assert done.status != 0
    if victim == "child":
        assert "another process of the run has ended" in done.err
        assert done.status == 1


# Memory and disk


def test_too_little_memory_is_explained_with_what_to_lower(babble: Path, tmp_path: Path) -> None:
    # Far too large: a process that has worked before has more to spare than what it is allowed.
    option = config_option(tmp_path / "s.yaml", batch_size=16, conv_channels=1024, n_mels=80)
    process = Forked(tmp_path, "train", babble, tmp_path / "run", *option, spare_memory=200 << 20)
    done = process.done()
    assert done.status == 2
    assert done.error().startswith("out of memory: lower batch_seconds or batch_size")
    assert "checkpoint_activations" in done.error()
    assert "max_duration" in done.error()


def test_a_full_disk_leaves_the_last_checkpoint(
    babble: Path, tmp_path: Path, whole_run: WholeRun
) -> None:
    run = tmp_path / "run"
    option = config_option(tmp_path / "s.yaml", **THREE_EPOCHS)
    first = Forked(tmp_path / "first", "train", babble, run, *option, pause=Pause(4, STEP))
    assert first.wait_until_paused()
    first.kill(signal.SIGTERM)  # it stops after step 5; the next checkpoint is due at step 6
    assert first.done().status == 0
    before = {path: path.read_bytes() for path in checkpoints(run)}
    assert before

    full = Forked(tmp_path / "full", "train", babble, run, *option, largest_file=10_000).done()
    assert full.status == 1
    *_, error = full.err.splitlines()
    assert error.startswith(f"error: {run / 'checkpoints' / 'step-'}")
    assert "could not be written, the disk may be full" in error
    assert full.err.count("\n") == 2  # the other line says where the run resumed
    assert {path: path.read_bytes() for path in checkpoints(run)} == before
    assert {path.name for path in (run / "checkpoints").iterdir()} == {p.name for p in before}

    assert Forked(tmp_path / "last", "train", babble, run, *option).done().status == 0
    assert metrics_without_times(run) == metrics_without_times(whole_run(1))
    assert identical(state_without_times(run), state_without_times(whole_run(1)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which only root can make."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk]
    if (
        sys.platform != "linux"
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("no file system can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_run_on_a_full_disk_goes_on_when_there_is_room(
    babble: Path, tmp_path: Path, small_disk: Path
) -> None:
    run = small_disk / "run"
    option = config_option(tmp_path / "s.yaml", hidden_size=16)
    done = Forked(tmp_path / "full", "train", babble, run, *option).done()
    assert done.status == 1
    assert str(run) in done.error()
    assert re.search(r"No space left on device|the disk may be full", done.error())
    # As a name says while a file is written: a dot before it and letters of chance after it.
    assert not [path for path in run.rglob("*") if re.search(r"^\..*\.\w{8}\b", path.name)]
    subprocess.run(["mount", "-o", "remount,size=50m", small_disk], check=True)
    again = Forked(tmp_path / "again", "train", babble, run, *option).done()
    assert again.status == 0, again.err
    assert (run / "model.safetensors").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits there")
def test_a_full_disk_ends_a_new_run_with_one_error_and_no_unfinished_file(
    babble: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    option = config_option(tmp_path / "s.yaml", hidden_size=64, max_steps=1)
    done = Forked(tmp_path, "train", babble, run, *option, largest_file=16_384).done()
    assert done.status == 1
    assert str(run) in done.error()
    assert not list(run.rglob("*.pt")) + list(run.rglob("*.safetensors"))
