"""`--devices auto`: who decides, what is measured, and the run that follows from it."""

import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.commands import Command
from helpers.processes import Forked, Ranks, children, has_ended
from helpers.runs import config_option, equal, metrics_without_times, settings, weights

from sorigeul.base import capacity
from sorigeul.base.errors import UserError
from sorigeul.data.config import DataConfig
from sorigeul.training import processes_or_threads
from sorigeul.training.processes_or_threads import Layout, choose, decide, layouts
from sorigeul.training.settings import RUN_CONFIG, Settings

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "test",
    "RANK": "0",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "0",
}
SLURM = {"SLURM_JOB_NAME": "train", "SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4"}
AUTO = {"devices": "auto"}
NO_CORPUS = Path("nothing is read")
Write = Callable[..., Path]


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process, and those that are forked, compute in two threads."""
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def begun(tmp_path: Path) -> Write:
    """Writes the settings of a run into a folder."""

    def write(**changes: Any) -> Path:
        folder = tmp_path / "begun"
        folder.mkdir()
        (folder / RUN_CONFIG).write_text(settings(**changes).to_yaml(), encoding="utf-8")
        return folder

    return write


def decided(folder: Path, **changes: Any) -> dict[str, Any]:
    """The settings that differ from those that were given."""
    given = settings(**AUTO | changes)
    after = decide(given, NO_CORPUS, folder, restart=False).flat()
    return {name: value for name, value in after.items() if value != given.flat()[name]}


# Who decides


def test_a_number_is_left_alone(tmp_path: Path) -> None:
    given = settings(devices=3)
    assert decide(given, NO_CORPUS, tmp_path, restart=False) is given


@pytest.mark.parametrize("environment", [TORCHRUN, SLURM])
def test_torchrun_and_slurm_decide_as_if_it_were_left_out(
    environment: dict[str, str], tmp_path: Path, two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert decided(tmp_path, batch_size=8) == {"devices": 1}


def test_the_others_do_as_the_process_that_started_them(
    tmp_path: Path, two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert decided(tmp_path) == {"devices": 1}  # started by hand, as each by itself
    choice = {"devices": 2, "batch_size": 2}
    monkeypatch.setenv(processes_or_threads._DECIDED, json.dumps(choice))
    assert decided(tmp_path) == choice


def test_all_gpus_are_used_each_with_the_batch_that_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(processes_or_threads._DECIDED, "")  # restored after the test
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    assert decided(tmp_path) == {"devices": 8}


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no GPU")
def test_one_thread_is_one_process(tmp_path: Path) -> None:
    assert decided(tmp_path) == {"devices": 1}


@pytest.mark.parametrize("batch", [{"batch_size": 2}, {"batch_size": 8, "batch_seconds": 30.0}])
def test_a_run_goes_on_as_it_was_begun(
    batch: dict[str, Any], begun: Write, two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(processes_or_threads._DECIDED, "")
    folder = begun(devices=2, **batch)
    # By the same command, which names the whole batch, and by one that names nothing.
    whole = {name: value * 2 for name, value in batch.items()}
    for given in (whole, batch):
        after = decide(settings(**AUTO | given), NO_CORPUS, folder, restart=False)
        assert after == Settings.of_run(folder)


def test_another_batch_is_shared_by_the_processes_that_a_run_was_begun_with(
    begun: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(processes_or_threads._DECIDED, "")
    folder = begun(devices=2, batch_size=8)
    after = decide(settings(**AUTO, batch_size=12), NO_CORPUS, folder, restart=False)
    assert (after.training.devices, after.data.batch_size) == (2, 6)
    with pytest.raises(UserError, match="batch_size 7 cannot be shared evenly by the 2 processes"):
        decide(settings(**AUTO, batch_size=7), NO_CORPUS, folder, restart=False)


def test_a_run_that_cannot_begin_is_refused_before_anything_is_measured(
    babble: Path, tmp_path: Path, two_threads: None
) -> None:
    run = tmp_path / "run"
    with pytest.raises(UserError, match="holds a prepared corpus"):
        decide(settings(**AUTO), babble, babble, restart=False)
    with pytest.raises(UserError, match="nothing is read"):
        decide(settings(**AUTO), NO_CORPUS, run, restart=False)
    assert not run.exists()
    run.write_text("no folder")
    with pytest.raises(OSError, match="exists"):  # which the command says in a line
        decide(settings(**AUTO), babble, run, restart=False)


# What is measured


@pytest.mark.parametrize(
    ("threads", "batch", "expected"),
    [
        (2, {"batch_size": 16}, [(1, 2, 16), (2, 1, 8)]),
        (2, {"batch_size": 15}, [(1, 2, 15)]),
        (3, {"batch_size": 6}, [(1, 3, 6), (3, 1, 2)]),
        (4, {"batch_size": 16}, [(1, 4, 16), (4, 1, 4), (2, 2, 8)]),
        (4, {"batch_size": 6}, [(1, 4, 6), (2, 2, 3)]),
        (5, {"batch_size": 10}, [(1, 5, 10), (5, 1, 2)]),
        (4, {"batch_seconds": 20.0}, [(1, 4, 20.0), (4, 1, 5.0), (2, 2, 10.0)]),
        (4, {"batch_seconds": 8.0}, [(1, 4, 8.0), (2, 2, 4.0)]),
    ],
)
def test_the_processes_of_a_layout_share_threads_and_batch(
    threads: int, batch: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    (name,) = batch
    found = list(layouts(DataConfig(**batch), threads, 3.0, free=None))
    assert [(one.processes, one.threads, one.changes[name]) for one in found] == expected
    assert [one.changes["devices"] for one in found] == [one.processes for one in found]


def test_no_layout_is_measured_for_which_memory_is_short() -> None:
    found = [one.processes for one in layouts(DataConfig(batch_size=16), 4, 3.0, free=5.0)]
    assert found == [1, 2]


@pytest.mark.parametrize(
    ("batch_size", "free", "reason"),
    [(3, None, "a batch that can be shared evenly"), (4, 2.0, "more than the free memory")],
)
def test_one_process_without_a_choice_has_a_reason(
    batch_size: int,
    free: float | None,
    reason: str,
    babble: Path,
    tmp_path: Path,
    two_threads: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(capacity, "free_gib", lambda: free)
    given = settings(**AUTO, batch_size=batch_size)
    with caplog.at_level("INFO", "sorigeul"):
        assert decide(given, babble, tmp_path / "run", restart=False).training.devices == 1
    assert caplog.messages == [f"devices auto: one process, since several would need {reason}"]


@pytest.mark.parametrize(
    ("rates", "best"),
    [
        ([[80.0], [112.0]], 1),
        ([[80.0], [70.0]], 0),
        ([[100.0], [104.0]], 0),  # for so little, one process
        ([[100.0], [150.0], [140.0]], 1),
        ([[100.0], [], [140.0]], 2),  # one that fails loses
        ([[], [140.0]], 1),
        ([[], []], 0),
        # Rounds differ in what else the machine had to do.
        ([[100.0, 10.0, 50.0], [120.0, 12.0, 60.0]], 1),
        ([[100.0, 10.0, 50.0], [101.0, 30.0, 51.0]], 0),
    ],
)
def test_the_fastest_layout_is_chosen(rates: list[list[float]], best: int) -> None:
    assert choose(rates) == best


def test_a_layout_is_named_in_the_words_of_the_log() -> None:
    assert str(Layout(1, 2, {})) == "1 process of 2 threads"
    assert str(Layout(2, 1, {})) == "2 processes of 1 thread"


@pytest.mark.parametrize(
    ("batch", "given", "whole"),
    [
        ({"batch_size": 2}, [], (4, 0.0)),
        ({"batch_seconds": 9.0}, [], (4, 18.0)),
        ({"batch_size": 2}, ["--batch_size", "6"], (6, 0.0)),
        ({"batch_size": 2}, ["--preset", "quickstart"], (16, 0.0)),
    ],
)
def test_a_batch_is_shared_once_though_a_run_begins_again(
    batch: dict[str, Any],
    given: list[str],
    whole: tuple[int, float],
    begun: Write,
    babble: Path,
    sorigeul: Command,
) -> None:
    """What comes from the folder is the share of a process, what comes from elsewhere the whole."""
    folder = begun(devices=2, max_steps=1, **batch)
    small = ["--hidden_size", "4", "--conv_channels", "1", "--max_steps", "1"]
    command = ["train", babble, folder, "--restart", "--devices", "auto", *given, *small]
    assert sorigeul(*command).status == 0
    data = Settings.of_run(folder).data
    assert (data.batch_size, data.batch_seconds) == whole


# The whole way


def test_what_is_measured_becomes_the_run(
    babble: Path, tmp_path: Path, two_threads: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several processes are taken, however fast they are: they have more to agree on.
    monkeypatch.setattr(processes_or_threads, "_GAIN", 0.0)
    monkeypatch.setattr(processes_or_threads, "_ROUNDS", 1)
    run, option = tmp_path / "run", config_option(tmp_path / "s.yaml", **AUTO)
    process = Forked(tmp_path / "output", "train", babble, run, *option, module="sorigeul")
    done = process.done()
    assert done.status == 0, done.err
    measuring, measured = (line for line in done.err.splitlines() if "warning" not in line)
    assert measuring.startswith("devices auto: measuring")
    assert "with 1 process of 2 threads" in measured
    assert "with 2 processes of 1 thread: devices 2, batch_size 2 each" in measured
    of_run = Settings.of_run(run)
    assert (of_run.training.devices, of_run.data.batch_size) == (2, 2)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert (record["processes"], record["threads"]) == (2, 1)
    # The same numbers are the same run, however the processes are started.
    torch.set_num_threads(1)
    again = ["train", babble, tmp_path / "again", "--config", run / RUN_CONFIG]
    Ranks(tmp_path / "ranks", 2, *again).expect_success()
    assert metrics_without_times(tmp_path / "again") == metrics_without_times(run)
    assert equal(weights(tmp_path / "again"), weights(run))


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.prove)]
)
def test_a_stop_while_it_measures_leaves_nothing(
    babble: Path,
    tmp_path: Path,
    two_threads: None,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    run, option = tmp_path / "run", config_option(tmp_path / "s.yaml", **AUTO)
    process = Forked(tmp_path / "output", "train", babble, run, *option)

    def others() -> list[int]:
        return [other for child in children(process.pid) for other in children(child)]

    assert process.wait_until(lambda: len(others()) == 1)
    started = [*children(process.pid), *others()]
    assert len(started) == 3
    process.kill(number)
    done = process.done()
    assert done.status == 130
    assert done.err.splitlines()[1:] == ["error: interrupted"]
    assert all(map(has_ended, started))
    assert not run.exists()
    assert not list(temporary.iterdir())


@pytest.mark.prove
def test_programs_that_fail_lose_and_the_run_tells_why(
    babble: Path, tmp_path: Path, two_threads: None
) -> None:
    option = config_option(tmp_path / "s.yaml", **AUTO, precision="float16")
    done = Forked(tmp_path / "output", "train", babble, tmp_path / "run", *option).done()
    assert done.status == 2
    assert "none with 1 process of 2 threads, none with 2 processes of 1 thread: dev" in done.err
    assert "error: precision float16 needs a GPU" in done.err
