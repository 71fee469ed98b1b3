"""Metrics of a run: `metrics.jsonl`, TensorBoard events, the seed's table, learning curves."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import time_machine
import torch
from helpers.figures import drawn_plots
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sorigeul.base.errors import UserError
from sorigeul.training.metrics import MetricsLog, read_metrics, table_row, training_environment

CPU = torch.device("cpu")
HEAD = [
    "|Epoch|train CRR (%)|valid CRR (%)|test CRR (%)|",
    "|:-----:|:---------:|:--------:|:------:|",
]


def step(number: int, **metrics: Any) -> dict[str, Any]:
    return {"kind": "step", "epoch": 0, "step": number, "train_loss": 4.0 - number / 10, **metrics}


def epoch(number: int, **metrics: Any) -> dict[str, Any]:
    return {
        "kind": "epoch",
        "epoch": number,
        "step": 10 * (number + 1),
        "train_loss": 2.5,
        "train_crr": 12.345,
        "valid_crr": 6.789,
        "test_crr": -3.2,
        **metrics,
    }


def open_log(folder: Path, step: int = 0, rows: int = 0) -> MetricsLog:
    log = MetricsLog(folder, CPU)
    log.begin(step, rows)
    return log


def read_events(folder: Path) -> dict[str, dict[int, float]]:
    """The TensorBoard events of a run: name -> step -> value."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        name: {event.step: round(event.value, 4) for event in events.Scalars(name)}
        for name in events.Tags()["scalars"]
    }


def read_png(path: Path) -> np.ndarray[Any, Any]:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels: np.ndarray[Any, Any] = mpl.image.imread(path)
    return pixels


# Metrics


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [step(1), step(2, train_crr=None), epoch(0), step(11)]
    log = open_log(tmp_path)
    for row in rows:
        log.write(row)
    log.close()
    assert read_metrics(tmp_path) == rows
    assert read_metrics(tmp_path, "epoch") == [rows[2]]
    assert read_metrics(tmp_path, "step") == [rows[0], rows[1], rows[3]]
    assert read_metrics(tmp_path / "nowhere") == []


def test_every_float_is_written_as_an_event(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.write(step(1, failures=3, train_crr=None))
    log.write(step(2))
    log.close()
    assert read_events(tmp_path) == {"step/train_loss": {1: 3.9, 2: 3.8}}


def test_what_was_written_after_the_checkpoint_is_dropped_on_resuming(tmp_path: Path) -> None:
    with time_machine.travel("2026-06-15T12:00") as clock:
        log = open_log(tmp_path)
        for number in (1, 2, 3, 4):
            log.write(step(number))
        log.close()
        clock.shift(60.0)  # TensorBoard orders its files by the second in which they were created
        resumed = open_log(tmp_path, step=2, rows=2)
        assert read_metrics(tmp_path) == [step(1), step(2)]
        resumed.write(step(3, train_loss=1.0))
        resumed.close()
    assert read_metrics(tmp_path) == [step(1), step(2), step(3, train_loss=1.0)]
    assert read_events(tmp_path)["step/train_loss"] == {1: 3.9, 2: 3.8, 3: 1.0}


def test_an_epoch_that_ended_after_the_checkpoint_of_the_same_step_is_dropped(
    tmp_path: Path,
) -> None:
    """Killed between the row of the epoch and its checkpoint: the row will be written again."""
    log = open_log(tmp_path)
    for row in (step(5), step(10)):
        log.write(row)
    assert log.flush() == 2
    log.close_epoch(epoch(0), "2020/03/03")
    log.close()
    assert read_metrics(tmp_path)[-1]["step"] == 10
    resumed = open_log(tmp_path, step=10, rows=2)
    assert read_metrics(tmp_path) == [step(5), step(10)]
    resumed.write(epoch(0))
    assert resumed.flush() == 3
    resumed.close()


def test_flushed_rows_and_events_are_on_disk(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.write(step(1))
    log.flush()
    assert read_events(tmp_path) == {"step/train_loss": {1: 3.9}}
    log.close()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "3",
        "{}",
        '{"kind": 3}',
        '{"kind": "step"}',
        '{"kind": "step", "step": "3"}',
        '{"kind": "epoch", "step": 3}',
        '{"kind": "epoch", "step": 3, "epoch": 1, "valid_crr": "high"}',
        '{"kind": "step", "step": 3, "loss": [1]}',
        "[" * 10**5,
    ],
)
def test_a_line_that_no_run_has_written_is_named(tmp_path: Path, line: str) -> None:
    rows = [json.dumps(step(1)), line, json.dumps(step(2))]
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"metrics.jsonl:2 is damaged .*: remove the line$"):
        read_metrics(tmp_path)


def test_an_incomplete_last_line_is_ignored(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    log.write(step(1))
    log.close()
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "step", "ep')  # killed, or the disk was full
    assert read_metrics(tmp_path) == [step(1)]
    resumed = open_log(tmp_path, step=1, rows=1)
    resumed.write(step(2))
    resumed.close()
    assert read_metrics(tmp_path) == [step(1), step(2)]
    for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line)


# The table


@pytest.mark.parametrize(
    ("metrics", "line"),
    [
        ({}, "|0|12.35|6.79|-3.20|"),
        ({"valid_crr": 100.0, "test_crr": 0.0}, "|0|12.35|100.00|0.00|"),
        ({"train_crr": None}, "|0|-|6.79|-3.20|"),
    ],
)
def test_the_rows_of_the_table(metrics: dict[str, Any], line: str) -> None:
    assert table_row(epoch(0, **metrics)) == line


def test_a_missing_split_is_a_dash_in_the_table() -> None:
    row = epoch(7)
    del row["valid_crr"], row["test_crr"]
    assert table_row(row) == "|7|12.35|-|-|"


def test_several_corpora_have_columns_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = open_log(tmp_path)
    rates = {"data/valid_crr": 1.0, "mine/valid_crr": 2.0}
    log.close_epoch(epoch(0, **rates), "2020/03/03")
    log.close_epoch(epoch(1, **rates, **{"mine/test_crr": 3.0}), "2020/03/03")
    log.close()
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert f"{HEAD[0]}data valid|mine valid|mine test|\n{HEAD[1]}:---:|:---:|:---:|\n" in text
    assert "\n|0|12.35|6.79|-3.20|1.00|2.00|-|\n|1|12.35|6.79|-3.20|1.00|2.00|3.00|\n" in text
    assert capsys.readouterr().out.startswith(f"{HEAD[0]}data valid|mine valid|\n")


def test_results_md_has_the_table_of_the_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = open_log(tmp_path)
    for number in (0, 1):
        log.close_epoch(epoch(number, valid_crr=50.0 + number), "2020/03/03")
    log.close()
    rows = ["|0|12.35|50.00|-3.20|", "|1|12.35|51.00|-3.20|"]
    lines = (tmp_path / "results.md").read_text(encoding="utf-8").splitlines()
    start = lines.index(HEAD[0])
    assert lines[start : start + 4] == HEAD + rows
    assert lines[start + 4] == ""
    assert lines[0] == "### Training Environment"
    assert "Training Start Date: 2020/03/03" in lines
    assert lines[2:5] == training_environment(CPU).splitlines()
    assert capsys.readouterr().out.splitlines() == HEAD + rows


def test_a_resumed_run_continues_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = open_log(tmp_path)
    first.close_epoch(epoch(0), "2020/03/03")
    first.close()
    capsys.readouterr()
    second = open_log(tmp_path, step=10, rows=1)
    second.close_epoch(epoch(1), "2020/03/03")
    second.close()
    assert capsys.readouterr().out == "|1|12.35|6.79|-3.20|\n"
    table = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "\n|0|12.35|6.79|-3.20|\n|1|12.35|6.79|-3.20|\n" in table


def test_the_environment_is_described_in_the_words_of_the_seed() -> None:
    device, cuda, version = training_environment(CPU).splitlines()
    assert device.startswith("Device : ")
    assert device.endswith(" threads")
    assert cuda.startswith("CUDA version : ")
    assert version == f"PyTorch version : {torch.__version__}"


# Learning curves


@pytest.fixture
def drawn() -> Iterator[None]:
    with drawn_plots():
        yield


@pytest.mark.usefixtures("drawn")
def test_the_learning_curves_are_drawn_again_after_a_while_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after each of the epochs of a second: drawing would take longer than training."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    log = open_log(tmp_path)
    drawn = []
    for number, seconds in enumerate((0.0, 1.0, 10.0, 10.5)):
        now[0] = 100.0 + seconds
        log.close_epoch(epoch(number, train_loss=2.5 / (number + 1)), "2020/03/03")
        drawn.append(read_png(tmp_path / "plots" / "learning_curves.png"))
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[1] != drawn[2]).any()
    assert (drawn[2] == drawn[3]).all()
    log.close()
    whole = read_png(tmp_path / "plots" / "learning_curves.png")
    assert whole.shape == drawn[3].shape
    assert (whole != drawn[3]).any()


@pytest.mark.usefixtures("drawn")
def test_the_curves_that_a_killed_run_did_not_draw_are_drawn_by_the_next(tmp_path: Path) -> None:
    log = open_log(tmp_path)
    for number in range(2):
        log.close_epoch(epoch(number, train_loss=2.5 / (number + 1)), "2020/03/03")
    killed = read_png(tmp_path / "plots" / "learning_curves.png")
    open_log(tmp_path, step=20, rows=2).close()
    assert (read_png(tmp_path / "plots" / "learning_curves.png") != killed).any()
