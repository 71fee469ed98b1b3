"""Checkpoints are read as they were saved; damaged ones are renamed and explained in one line."""

import errno
import io
import logging
import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from helpers.full_disk import limited_file_size
from helpers.pickles import Trap

from sorigeul.base.errors import UserError
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import checkpoints
from sorigeul.training.checkpoints import CHECKPOINTS, RunState, epoch_order
from sorigeul.training.running_totals import EpochTotals, RunPosition
from sorigeul.training.settings import Settings


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def content(step: int) -> dict[str, Any]:
    return {"position": {"step": step}, "model": {"weight": torch.full((3000,), float(step))}}


def newest(run: Path) -> dict[str, Any]:
    checkpoint = checkpoints.latest_checkpoint(run)
    assert checkpoint is not None
    return checkpoint


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / CHECKPOINTS).iterdir())


# Files


def test_the_newest_two_checkpoints_are_kept(tmp_path: Path) -> None:
    assert checkpoints.latest_checkpoint(tmp_path) is None
    for step in (9, 10, 11, 100):
        path = checkpoints.save_checkpoint(tmp_path, step, content(step))
        assert path.exists()
    assert names(tmp_path) == ["step-000000011.pt", "step-000000100.pt"]
    assert newest(tmp_path)["position"] == {"step": 100}
    assert torch.equal(newest(tmp_path)["model"]["weight"], torch.full((3000,), 100.0))


def test_the_checkpoint_of_a_step_can_be_written_again(tmp_path: Path) -> None:
    checkpoints.save_checkpoint(tmp_path, 1, content(1))
    checkpoints.save_checkpoint(tmp_path, 1, {**content(1), "again": True})
    assert names(tmp_path) == ["step-000000001.pt"]
    assert newest(tmp_path)["again"] is True


DAMAGES = {
    "half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "other": lambda data: b"no state of any run\n" * 50,
    "zeros": lambda data: bytes(len(data)),
    "inside": lambda data: data[:6000] + b"\xff" * 64 + data[6064:],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_is_used_if_the_newest_checkpoint_is_damaged(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2):
        path = checkpoints.save_checkpoint(tmp_path, step, content(step))
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with caplog.at_level(logging.WARNING, "sorigeul"):
        assert newest(tmp_path)["position"] == {"step": 1}
    assert [f"{path} is damaged" in record.getMessage() for record in caplog.records] == [True]
    assert "\n" not in caplog.records[0].getMessage()
    assert names(tmp_path) == ["step-000000001.pt", "step-000000002.damaged"]
    checkpoints.save_checkpoint(tmp_path, 2, content(2))
    assert newest(tmp_path)["position"] == {"step": 2}


def test_a_folder_named_like_a_checkpoint_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints.save_checkpoint(tmp_path, 1, {"a": 1})
    folder = tmp_path / CHECKPOINTS / "step-000000002.pt"
    (folder / "mine").mkdir(parents=True)
    assert checkpoints.latest_checkpoint(tmp_path) == {"a": 1}
    assert caplog.messages == [f"{folder} is a folder, and no checkpoint: it is passed over"]
    for step in (2, 3, 4):
        checkpoints.save_checkpoint(tmp_path, step, {"a": step})
    assert f"{folder} is a folder; kept as step-000000002.folder" in caplog.messages
    assert (tmp_path / CHECKPOINTS / "step-000000002.folder" / "mine").is_dir()
    assert checkpoints.latest_checkpoint(tmp_path) == {"a": 4}


def test_a_run_with_only_damaged_checkpoints_is_refused(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoints.save_checkpoint(tmp_path, step, content(step)).write_bytes(b"lost")
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read") as error:
        checkpoints.latest_checkpoint(tmp_path)
    assert str(tmp_path / CHECKPOINTS) in one_line(error)


@contextmanager
def out_of_reach(path: Path) -> Iterator[None]:
    """Not even root can read what lies behind a link to itself."""
    whole = path.rename(path.with_suffix(".whole"))
    path.symlink_to(path)
    yield
    path.unlink()
    whole.rename(path)


@contextmanager
def short_memory(_: Path) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 20), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def failing_disk(reads: int) -> Callable[[Path], AbstractContextManager[None]]:
    """A network file system that goes away after some reads."""

    class Failing(io.FileIO):
        left = reads

        def readinto(self, buffer: Any) -> int:
            if not self.left:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.left -= 1
            return super().readinto(buffer)

    @contextmanager
    def failing(_: Path) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(io, "open", lambda path, _: io.BufferedReader(Failing(path)))
            yield

    return failing


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("obstacle", [out_of_reach, short_memory, failing_disk(0), failing_disk(5)])
def test_a_checkpoint_that_cannot_be_read_now_is_left_alone(
    tmp_path: Path, obstacle: Callable[[Path], AbstractContextManager[None]]
) -> None:
    checkpoints.save_checkpoint(tmp_path, 1, content(1))
    large = {"weight": torch.zeros(1 << 26)}  # 256 MiB: no process has so much left over
    path = checkpoints.save_checkpoint(tmp_path, 2, {**content(2), "large": large})
    with obstacle(path), pytest.raises(UserError, match=r"cannot be read \(.+it may be whole") as e:
        checkpoints.latest_checkpoint(tmp_path)
    assert str(path) in one_line(e)
    assert names(tmp_path) == ["step-000000001.pt", "step-000000002.pt"]
    assert newest(tmp_path)["position"] == {"step": 2}


def test_whatever_happens_to_its_bytes_a_checkpoint_is_read_as_it_was_or_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also those of its headers, which no checksum covers."""
    caplog.set_level(logging.CRITICAL, "sorigeul")
    path = checkpoints.save_checkpoint(tmp_path, 1, content(1))
    whole, random, damaged = path.read_bytes(), Random(1), 0
    for _ in range(300):
        data = bytearray(whole)
        place = random.choice([random.randrange(len(data)), -random.randrange(1, 900)])
        data[place] ^= 1 << random.randrange(8)
        path.write_bytes(data[: random.choice([len(data), len(data), random.randrange(len(data))])])
        try:
            read = newest(tmp_path)
        except UserError as error:
            assert "no checkpoint in" in str(error) or "may be whole" in str(error)  # noqa: PT017
            damaged += 1
        else:
            assert torch.equal(read["model"]["weight"], content(1)["model"]["weight"])
            assert read["position"] == {"step": 1}
    assert 100 < damaged < 300


def test_reading_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    checkpoints.save_checkpoint(tmp_path, 1, {"position": Trap(tmp_path / "sprung")})
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoints.latest_checkpoint(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_the_checkpoint_of_a_step_must_be_there(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoints.save_checkpoint(tmp_path, step, content(step))
    assert checkpoints.checkpoint_of_step(tmp_path, 1)["position"] == {"step": 1}
    with pytest.raises(UserError, match="all processes of a run must see the same") as error:
        checkpoints.checkpoint_of_step(tmp_path, 3)
    assert "step-000000003.pt" in one_line(error)


def test_a_file_that_a_killed_process_left_unfinished_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoints.save_checkpoint(tmp_path, 1, content(1))
    (tmp_path / CHECKPOINTS / ".step-000000002.x7.pt").write_bytes(b"half a st")
    assert newest(tmp_path)["position"] == {"step": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits there")
def test_a_full_disk_leaves_the_checkpoints_that_were_saved_before(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoints.save_checkpoint(tmp_path, step, content(step))
    folder = tmp_path / CHECKPOINTS
    before = {path: path.read_bytes() for path in folder.iterdir()}
    large = {"weight": torch.zeros(100_000)}
    with limited_file_size(16_384), pytest.raises(OSError, match="could not be written") as error:
        checkpoints.save_checkpoint(tmp_path, 3, large)
    assert str(error.value).startswith(f"{folder / 'step-000000003.pt'} could not be written")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


# The state of a run

VOCABULARY = Vocabulary.from_texts(["가나다"])


def run_state(**changes: Any) -> RunState:
    state: dict[str, Any] = {
        "position": RunPosition(epoch=1, step=7, best=[(50.0, 0)]),
        "totals": EpochTotals(utterances=8, loss=2.5),
        "learner": {"model": {}, "average": None},
        "loader": {"place": 3},
        "epoch_order": epoch_order(Settings(), utterances=100, processes=2),
        "random": [{"python": 1}, {"python": 2}],
        "metrics_rows": 9,
        "vocabulary_hash": VOCABULARY.hash,
    }
    return RunState(**{**state, **changes})


def test_a_state_is_read_from_the_keys_that_all_checkpoints_have(tmp_path: Path) -> None:
    """Renaming one of them would break the runs of users."""
    saved = run_state().to_dict()
    assert list(saved) == [
        "format",
        "position",
        "tally",
        "model",
        "average",
        "batches",
        "drawn_by",
        "random",
        "rows",
        "vocabulary_hash",
    ]
    state = RunState.from_dict(saved, tmp_path, VOCABULARY)
    assert state.position == RunPosition(epoch=1, step=7)  # the weights of epoch 0 are not there
    assert state.totals == EpochTotals(utterances=8, loss=2.5)
    assert (state.loader, state.metrics_rows) == ({"place": 3}, 9)
    assert state.learner["model"] == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("position", None),
        ("position", {"step": "seven"}),
        ("position", {"steps": 7}),
        ("tally", [1]),
        ("tally", {"loss": "low"}),
        ("drawn_by", 3),
        ("batches", "first"),
        ("random", 5),
        ("rows", "many"),
    ],
)
def test_contents_that_no_run_has_written_are_refused(
    tmp_path: Path, key: str, value: object
) -> None:
    for changed in ({**run_state().to_dict(), key: value}, run_state().to_dict()):
        if changed[key] is not value:
            del changed[key]
        with pytest.raises(UserError, match="does not hold what a checkpoint of this run") as error:
            RunState.from_dict(changed, tmp_path, VOCABULARY)
        assert "move it away" in one_line(error)


def test_the_position_in_an_epoch_is_lost_if_its_order_changes(tmp_path: Path) -> None:
    order = epoch_order(Settings(), utterances=100, processes=2)
    state = RunState.from_dict(run_state().to_dict(), tmp_path, VOCABULARY)
    assert state.changes_of_order(order) == []
    batches_of_3 = Settings().changed({"batch_size": 3, "noise_dir": "elsewhere"}, "test")
    changed = epoch_order(batches_of_3, utterances=101, processes=1)
    assert state.changes_of_order(changed) == [
        "batch_size",
        "the number of processes",
        "the number of utterances",
    ]
    between_epochs = run_state(loader=None)
    assert between_epochs.changes_of_order(changed) == []


def test_a_setting_that_is_newer_than_a_checkpoint_counts_as_its_default(tmp_path: Path) -> None:
    saved = run_state().to_dict()
    del saved["drawn_by"]["plain_epochs"]
    state = RunState.from_dict(saved, tmp_path, VOCABULARY)
    default = epoch_order(Settings(), utterances=100, processes=2)
    assert state.changes_of_order(default) == []
    assert state.changes_of_order({**default, "plain_epochs": 2}) == ["plain_epochs"]
