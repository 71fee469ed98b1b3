"""Checkpoints are read as they were saved; damaged ones are renamed and explained in one line."""

import logging
import sys
from pathlib import Path
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


def test_a_run_with_only_damaged_checkpoints_is_refused(tmp_path: Path) -> None:
    for step in (1, 2):
        checkpoints.save_checkpoint(tmp_path, step, content(step)).write_bytes(b"lost")
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read") as error:
        checkpoints.latest_checkpoint(tmp_path)
    assert str(tmp_path / CHECKPOINTS) in one_line(error)


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
