"""What interrupts a run, for real: nothing is lost, it is said in one line, and nothing hangs."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import time_machine
from helpers import tones
from helpers.commands import Done
from helpers.processes import Forked, company
from helpers.runs import LONG, checkpoints, config, curve, same, settings, state
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sorigeul.training.learner import Learner
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train
from sorigeul.training.settings import Settings

PROMPTLY = 60.0  # seconds within which a run has ended that cannot go on


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def promptly(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PROMPTLY
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


# Killed at random


@pytest.fixture(scope="module")
def whole(
    babble: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], tuple[Path, float]]:
    """Gives the run that so many processes make undisturbed, and the seconds it takes them."""
    folder = tmp_path_factory.mktemp("whole")
    known: dict[int, tuple[Path, float]] = {}

    def run(processes: int) -> tuple[Path, float]:
        if processes not in known:
            place = folder / str(processes)
            options = config(folder / "s.yaml", **LONG)
            begun = time.monotonic()
            for one in company(folder / "said", processes, "train", babble, place, *options):
                assert one.done().status == 0, one.done().err
            known[processes] = place, time.monotonic() - begun
        return known[processes]

    return run


def interrupt_and_go_on(
    babble: Path,
    folder: Path,
    whole: tuple[Path, float],
    random: Random,
    processes: int,
    num_workers: int,
    kills: int,
) -> int:
    """Kill a run again and again; return how often it had got anywhere before it was.

    SIGKILL hits one process, as a machine would that runs out of memory, and torchrun then ends
    the others; the other signals hit all processes and their workers, as torchrun sends them.
    """
    expected, seconds = whole
    run, hits = folder / "run", 0
    options = config(folder / "s.yaml", **LONG, num_workers=num_workers)
    for kill in range(kills):
        at_work = company(folder / f"said{kill}", processes, "train", babble, run, *options)
        number = random.choice((signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
        time.sleep(random.uniform(0.1, 0.9) * seconds)
        hits += bool(checkpoints(run)) and any(one.running() for one in at_work)
        if number == signal.SIGKILL:
            random.choice(at_work).kill(number)
        for one in at_work:
            one.kill_group(signal.SIGTERM if number == signal.SIGKILL else number)
        for one in at_work:
            done = one.done()
            assert done.status in (0, 1, 130, -signal.SIGTERM, -number), done.err
            if number != signal.SIGKILL:  # after which a worker may miss its process
                assert "Traceback" not in done.err
    for one in company(folder / "last", processes, "train", babble, run, *options):
        assert one.done().status == 0, one.done().err
    assert curve(run) == curve(expected)
    after, before = state(run), state(expected)
    after["drawn_by"].pop("num_workers"), before["drawn_by"].pop("num_workers")
    assert same(after, before)
    return hits


Whole = Callable[[int], tuple[Path, float]]


@pytest.mark.parametrize(("processes", "num_workers", "kills"), [(1, 0, 2), (1, 1, 1), (2, 0, 1)])
def test_a_run_that_is_killed_ends_as_if_it_had_not_been(
    babble: Path, tmp_path: Path, whole: Whole, processes: int, num_workers: int, kills: int
) -> None:
    random = Random(f"{processes} {num_workers}")
    interrupt_and_go_on(babble, tmp_path, whole(processes), random, processes, num_workers, kills)


@pytest.mark.prove
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_run_that_is_killed_many_times_ends_as_if_it_had_not_been(
    babble: Path, tmp_path: Path, whole: Whole, processes: int, num_workers: int
) -> None:
    hits = 0
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        random = Random(f"{processes} {num_workers} {seed}")
        hits += interrupt_and_go_on(
            babble, folder, whole(processes), random, processes, num_workers, 3
        )
    print(f"{hits} of 12 kills hit a run that had a checkpoint and was not at its end")
    assert hits >= 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_to_stop_is_answered_with_a_checkpoint(
    babble: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """With a worker that decodes, and sent to all: torchrun, Slurm and terminals do that."""
    options = config(tmp_path / "s.yaml", **LONG | {"max_epochs": 1000}, num_workers=1)
    at_work = Forked(tmp_path / "said", "train", babble, tmp_path / "run", *options)
    at_work.wait_until(lambda: len(read_metrics(tmp_path / "run", "epoch")) > 0)
    at_work.kill_group(number)
    done = at_work.done()
    assert done.status == 0, done.err
    said = re.search(r"stopped at step (\d+); the same command goes on from there", done.err)
    assert said
    assert checkpoints(tmp_path / "run")[-1].name == f"step-{int(said[1]):09d}.pt"
    assert "error" not in done.err


def test_a_request_to_one_process_stops_all(babble: Path, tmp_path: Path) -> None:
    options = config(tmp_path / "s.yaml", **LONG | {"max_epochs": 1000})
    at_work = company(tmp_path, 2, "train", babble, tmp_path / "run", *options)
    at_work[1].wait_until(lambda: len(checkpoints(tmp_path / "run")) == 2)
    at_work[1].kill(signal.SIGTERM)
    for one in at_work:
        assert one.done().status == 0, one.done().err
    assert "the same command goes on" in at_work[0].done().err
    assert at_work[1].done().err == ""


# Processes that die


def test_a_worker_that_dies_is_told_in_a_line(babble: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    one_epoch = {**LONG, "max_epochs": 1, "augment_ratio": 12.0}  # no time for other workers
    options = config(tmp_path / "s.yaml", **one_epoch, num_workers=1)
    at_work = Forked(tmp_path / "said", "train", babble, run, *options)
    assert at_work.wait_until(lambda: bool(checkpoints(run)) and bool(children(at_work.pid)))
    os.kill(children(at_work.pid)[0], signal.SIGKILL)
    assert promptly(lambda: not at_work.running())
    done = at_work.done()
    assert done.status == 1
    assert done.error().startswith("a process that decodes audio has died (")
    assert "the same command goes on from the last checkpoint" in done.error()
    assert Forked(tmp_path / "again", "train", babble, run, *options).done().status == 0
    train(babble, tmp_path / "whole", settings(**one_epoch))
    assert curve(run) == curve(tmp_path / "whole")


@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_others(babble: Path, tmp_path: Path, victim: int) -> None:
    options = config(tmp_path / "s.yaml", **LONG | {"max_epochs": 1000})
    at_work = company(tmp_path, 2, "train", babble, tmp_path / "run", *options)
    at_work[0].wait_until(lambda: bool(checkpoints(tmp_path / "run")))
    at_work[victim].kill(signal.SIGKILL)
    other = at_work[1 - victim]
    assert promptly(lambda: not other.running())
    assert other.done().status == 1
    if victim == 1:
        assert other.done().error().startswith("another process of the run has ended")
    else:  # the first one would have told
        assert other.done().err == ""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts real commands, and ends what is left of them."""
    begun: list[subprocess.Popen[str]] = []

    def start(*command: str | Path) -> subprocess.Popen[str]:
        with (tmp_path / "err").open("w") as err:
            begun.append(
                subprocess.Popen(
                    [sys.executable, "-m", *map(str, command)],
                    stdout=err,
                    stderr=err,
                    text=True,
                    start_new_session=True,
                )
            )
        return begun[-1]

    yield start
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize(
    ("launcher", "victim"),
    [
        ("devices", "child"),
        pytest.param("torchrun", "child", marks=pytest.mark.prove),
        pytest.param("devices", "launcher", marks=pytest.mark.prove),
    ],
)
def test_a_process_that_dies_ends_the_command(
    babble: Path,
    tmp_path: Path,
    started: Callable[..., subprocess.Popen[str]],
    launcher: str,
    victim: str,
) -> None:
    run, said = tmp_path / "run", tmp_path / "err"
    options = config(tmp_path / "s.yaml", **LONG | {"max_epochs": 100_000})
    command: list[str | Path] = ["sorigeul", "train", babble, run, *options]
    if launcher == "torchrun":
        job = started("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", *command)
    else:
        job = started(*command, "--devices", "2")
    # The launcher dies before the other has met it: that one has nobody to tell it.
    begun = checkpoints if victim == "child" else lambda _: children(job.pid)
    deadline = time.monotonic() + 120
    while not begun(run):
        assert job.poll() is None, said.read_text()
        assert time.monotonic() < deadline, said.read_text()
        time.sleep(0.05)
    ranks = children(job.pid)
    assert ranks
    os.kill(ranks[-1] if victim == "child" else job.pid, signal.SIGKILL)
    assert promptly(lambda: job.poll() is not None and all(map(gone, ranks))), said.read_text()
    assert job.returncode not in (0, None)
    if victim == "child":
        assert "another process of the run has ended" in said.read_text()
        assert job.returncode == 1


# Memory and disk


def test_too_little_memory_is_told_with_what_to_lower(babble: Path, tmp_path: Path) -> None:
    options = config(tmp_path / "s.yaml", batch_size=16, conv_channels=256, n_mels=80)
    done = Forked(tmp_path, "train", babble, tmp_path / "run", *options, spare_memory=200 << 20)
    assert done.done().status == 2
    told = done.done().error()
    assert told.startswith("out of memory: lower batch_seconds or batch_size")
    assert "checkpoint_activations" in told
    assert "max_duration" in told


def test_a_full_disk_leaves_the_last_checkpoint(babble: Path, tmp_path: Path, whole: Whole) -> None:
    run = tmp_path / "run"
    options = config(tmp_path / "s.yaml", **LONG)
    at_work = Forked(tmp_path / "first", "train", babble, run, *options)
    at_work.wait_until(lambda: bool(checkpoints(run)))
    at_work.kill(signal.SIGTERM)
    assert at_work.done().status == 0
    before = {path: path.read_bytes() for path in checkpoints(run)}

    full = Forked(tmp_path / "full", "train", babble, run, *options, largest_file=10_000).done()
    assert full.status == 1
    *_, told = full.err.splitlines()
    assert told.startswith(f"error: {run / 'checkpoints' / 'step-'}")
    assert "could not be written, the disk may be full" in told
    assert full.err.count("\n") == 2  # with where it goes on from
    assert {path: path.read_bytes() for path in checkpoints(run)} == before
    assert {path.name for path in (run / "checkpoints").iterdir()} == {p.name for p in before}

    assert Forked(tmp_path / "last", "train", babble, run, *options).done().status == 0
    assert curve(run) == curve(whole(1)[0])
    assert same(state(run), state(whole(1)[0]))


def test_what_a_killed_process_left_half_written_is_swept_away(
    babble: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    half = run / "checkpoints" / ".step-000000001.x7.pt"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half a st")
    train(babble, run, settings())
    assert not half.exists()
    assert checkpoints(run)


# Recordings that cannot be read


@pytest.fixture
def ruined(tmp_path: Path) -> Callable[[int, int], Path]:
    """Gives manifests of so many utterances, of which so many can no longer be read."""

    def make(utterances: int, bad: int) -> Path:
        splits = ["train"] * utterances + ["dev", "test"]
        manifests = tones.manifests(tmp_path, tones.texts(len(splits)), splits)
        for number in range(bad):
            (tmp_path / "audio" / f"u{number:02}.wav").write_bytes(b"no sound")
        return manifests

    return make


QUICK = tones.TINY.changed({"max_epochs": 1, "augment_ratio": 0.0, "max_failures": 0.1}, "QUICK")


def failing(corpus: Path, folder: Path, changed: Settings, processes: int = 1) -> list[Done]:
    (folder / "s.yaml").write_text(changed.to_yaml(), encoding="utf-8")
    command = ["train", corpus, folder / "run", "--config", folder / "s.yaml"]
    return [one.done() for one in company(folder / "said", processes, *command)]


@pytest.mark.parametrize("processes", [1, 2])
def test_too_many_unreadable_recordings_stop_the_run(
    tmp_path: Path, ruined: Callable[[int, int], Path], processes: int
) -> None:
    first, *others = failing(ruined(20, 3), tmp_path, QUICK, processes)
    assert first.status == 2
    assert first.error() == (
        "3 of 20 utterances could not be read, more than max_failures 0.1: see to the recordings "
        "named above, or raise max_failures"
    )
    for other in others:
        assert other.status == 2
        assert "error" not in other.err
    named = "".join(done.err for done in (first, *others))
    assert sorted(re.findall(r"warning: (\S+) left out", named)) == [
        "u00.wav",
        "u01.wav",
        "u02.wav",
    ]


def test_as_many_unreadable_recordings_as_allowed_do_not(
    tmp_path: Path, ruined: Callable[[int, int], Path]
) -> None:
    (done,) = failing(ruined(20, 2), tmp_path, QUICK)
    assert done.status == 0, done.err
    assert read_metrics(tmp_path / "run", "epoch")[0]["failures"] == 2


def test_the_first_recordings_alone_do_not_stop_a_run_and_a_hundred_do(
    tmp_path: Path, ruined: Callable[[int, int], Path]
) -> None:
    many = QUICK.changed({"augment_ratio": 9.0, "batch_size": 10}, "test")
    (done,) = failing(ruined(40, 10), tmp_path, many)
    assert done.status == 2
    failures, among = map(int, re.findall(r"(\d+) of (\d+) utterances", done.error())[0])
    assert 100 <= among < 140
    assert failures < 60


# The clock


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_is_set_changes_nothing(
    babble: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """In the middle of an epoch, and again between a run that stops and the one that goes on."""
    limits: dict[str, Any] = {**LONG, "max_seconds": 600.0}
    train(babble, tmp_path / "calm", settings(**limits))
    learn = Learner.step
    with time_machine.travel("2026-06-15", tick=True) as clock:

        def jump(*given: Any, **named: Any) -> Any:
            clock.shift(timedelta(days=days))
            return learn(*given, **named)

        monkeypatch.setattr(Learner, "step", jump)
        train(babble, tmp_path / "set", settings(**{**limits, "max_epochs": 2}))
        train(babble, tmp_path / "set", settings(**limits))
    assert curve(tmp_path / "set") == curve(tmp_path / "calm")
    assert same(state(tmp_path / "set"), state(tmp_path / "calm"))
    seconds = [row["training_seconds"] for row in read_metrics(tmp_path / "set", "epoch")]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] < 600
    # TensorBoard goes by the clock between its files, so each of them is read on its own.
    shown = [scalars(tmp_path / name) for name in ("set", "calm")]
    assert shown[0] == shown[1] != []


def scalars(run: Path) -> list[tuple[int, float]]:
    """The dev CRR of each epoch, as TensorBoard reads it in the files of a run."""
    found: list[tuple[int, float]] = []
    for path in run.glob("events.*"):
        events = EventAccumulator(str(path)).Reload().Scalars("epoch/valid_crr")
        found += [(event.step, event.value) for event in events]
    return sorted(found)
