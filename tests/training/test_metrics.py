"""What a run measures, as it is kept and as it is shown."""

import json
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sorigeul.base import plots
from sorigeul.training.metrics import MetricsLog, read_metrics, table_row, training_environment

CPU = torch.device("cpu")
HEAD = [
    "|Epoch|train CRR (%)|valid CRR (%)|test CRR (%)|",
    "|:-----:|:---------:|:--------:|:------:|",
]


def step(number: int, **figures: Any) -> dict[str, Any]:
    return {"kind": "step", "epoch": 0, "step": number, "train_loss": 4.0 - number / 10, **figures}


def epoch(number: int, **figures: Any) -> dict[str, Any]:
    return {
        "kind": "epoch",
        "epoch": number,
        "step": 10 * (number + 1),
        "train_loss": 2.5,
        "train_crr": 12.345,
        "valid_crr": 6.789,
        "test_crr": -3.2,
        **figures,
    }


def journal(folder: Path, at: int = 0, rows: int = 0) -> MetricsLog:
    found = MetricsLog(folder, CPU)
    found.begin(at, rows)
    return found


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """The TensorBoard events of a run: name -> step -> value."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return {
        name: {each.step: round(each.value, 4) for each in events.Scalars(name)}
        for name in events.Tags()["scalars"]
    }


def image(path: Path) -> np.ndarray[Any, Any]:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels: np.ndarray[Any, Any] = mpl.image.imread(path)
    return pixels


# Metrics


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = [step(1), step(2, train_crr=None), epoch(0), step(11)]
    kept = journal(tmp_path)
    for row in rows:
        kept.write(row)
    kept.close()
    assert read_metrics(tmp_path) == rows
    assert read_metrics(tmp_path, "epoch") == [rows[2]]
    assert read_metrics(tmp_path, "step") == [rows[0], rows[1], rows[3]]
    assert read_metrics(tmp_path / "nowhere") == []


def test_events_hold_every_number_that_has_a_fraction(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    kept.write(step(1, failures=3, train_crr=None))
    kept.write(step(2))
    kept.close()
    assert scalars(tmp_path) == {"step/train_loss": {1: 3.9, 2: 3.8}}


def test_what_an_interrupted_run_wrote_after_its_checkpoint_is_forgotten(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    for number in (1, 2, 3, 4):
        kept.write(step(number))
    kept.close()
    time.sleep(1.0)  # TensorBoard orders its files by the second in which they were begun
    resumed = journal(tmp_path, at=2, rows=2)
    assert read_metrics(tmp_path) == [step(1), step(2)]
    resumed.write(step(3, train_loss=1.0))
    resumed.close()
    assert read_metrics(tmp_path) == [step(1), step(2), step(3, train_loss=1.0)]
    assert scalars(tmp_path)["step/train_loss"] == {1: 3.9, 2: 3.8, 3: 1.0}


def test_an_epoch_is_forgotten_that_ended_on_the_step_of_the_checkpoint(tmp_path: Path) -> None:
    """Killed after the row of the epoch and before its checkpoint: the row will come again."""
    kept = journal(tmp_path)
    for row in (step(5), step(10)):
        kept.write(row)
    assert kept.keep() == 2
    kept.close_epoch(epoch(0), "2020/03/03")
    kept.close()
    assert read_metrics(tmp_path)[-1]["step"] == 10
    resumed = journal(tmp_path, at=10, rows=2)
    assert read_metrics(tmp_path) == [step(5), step(10)]
    resumed.write(epoch(0))
    assert resumed.keep() == 3
    resumed.close()


def test_what_the_journal_keeps_is_on_the_disk(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    kept.write(step(1))
    kept.keep()
    assert scalars(tmp_path) == {"step/train_loss": {1: 3.9}}
    kept.close()


def test_a_line_that_was_cut_off_does_not_stop_the_run(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    kept.write(step(1))
    kept.close()
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "step", "ep')  # killed, or the disk was full
    assert read_metrics(tmp_path) == [step(1)]
    resumed = journal(tmp_path, at=1, rows=1)
    resumed.write(step(2))
    resumed.close()
    assert read_metrics(tmp_path) == [step(1), step(2)]
    for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        json.loads(line)


# The table


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        ({}, "|0|12.35|6.79|-3.20|"),
        ({"valid_crr": 100.0, "test_crr": 0.0}, "|0|12.35|100.00|0.00|"),
        ({"train_crr": None}, "|0|-|6.79|-3.20|"),
    ],
)
def test_a_row_of_the_table(figures: dict[str, Any], line: str) -> None:
    assert table_row(epoch(0, **figures)) == line


def test_a_missing_split_is_a_dash() -> None:
    row = epoch(7)
    del row["valid_crr"], row["test_crr"]
    assert table_row(row) == "|7|12.35|-|-|"


def test_results_are_the_table_of_the_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = journal(tmp_path)
    for number in (0, 1):
        kept.close_epoch(epoch(number, valid_crr=50.0 + number), "2020/03/03")
    kept.close()
    rows = ["|0|12.35|50.00|-3.20|", "|1|12.35|51.00|-3.20|"]
    lines = (tmp_path / "results.md").read_text(encoding="utf-8").splitlines()
    start = lines.index(HEAD[0])
    assert lines[start : start + 4] == HEAD + rows
    assert lines[start + 4] == ""
    assert lines[0] == "### Training Environment"
    assert "Training Start Date: 2020/03/03" in lines
    assert lines[2:5] == training_environment(CPU).splitlines()
    assert capsys.readouterr().out.splitlines() == HEAD + rows


def test_a_resumed_run_goes_on_with_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = journal(tmp_path)
    first.close_epoch(epoch(0), "2020/03/03")
    first.close()
    capsys.readouterr()
    second = journal(tmp_path, at=10, rows=1)
    second.close_epoch(epoch(1), "2020/03/03")
    second.close()
    assert capsys.readouterr().out == "|1|12.35|6.79|-3.20|\n"
    table = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "\n|0|12.35|6.79|-3.20|\n|1|12.35|6.79|-3.20|\n" in table


def test_the_environment_is_told_as_the_seed_tells_it() -> None:
    device, cuda, version = training_environment(CPU).splitlines()
    assert device.startswith("Device : ")
    assert device.endswith(" threads")
    assert cuda.startswith("CUDA version : ")
    assert version == f"PyTorch version : {torch.__version__}"


# Plots


def test_an_epoch_draws_its_learning_curves(tmp_path: Path) -> None:
    kept = journal(tmp_path)
    kept.close_epoch(epoch(0), "2020/03/03")
    one = image(tmp_path / "plots" / "learning_curves.png")
    kept.close_epoch(epoch(1, train_loss=0.5), "2020/03/03")
    kept.close()
    two = image(tmp_path / "plots" / "learning_curves.png")
    assert one.shape == two.shape
    assert (one != two).any()


def test_curves_may_have_gaps(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    plots.learning_curves(path, [epoch(0, train_crr=None), {"epoch": 1, "train_loss": 1.0}])
    image(path)
    plots.learning_curves(path, [{"epoch": 0}])
    image(path)


def test_curves_show_the_alignment_where_there_is_one(tmp_path: Path) -> None:
    plots.learning_curves(tmp_path / "without.png", [epoch(0)])
    shown = epoch(0, valid_diagonality=0.9, valid_coverage=1.0, valid_focus=0.8)
    plots.learning_curves(tmp_path / "with.png", [shown])
    without, within = image(tmp_path / "without.png"), image(tmp_path / "with.png")
    assert within.shape[1] == pytest.approx(1.5 * without.shape[1], abs=1)


def test_attention_is_drawn_where_it_lies(tmp_path: Path) -> None:
    """The first character's attention to the first frame is bright in the lower left corner."""
    alignment = np.zeros((2, 4), np.float32)
    alignment[0, 0] = 1
    plots.attention(tmp_path / "a.png", alignment, ["가", " "], 2.0, "제목")
    pixels = image(tmp_path / "a.png")
    yellow = (pixels[..., 0] > 0.9) & (pixels[..., 1] > 0.8) & (pixels[..., 2] < 0.3)
    rows, columns = np.nonzero(yellow[:, : pixels.shape[1] // 2])  # the colour bar is on the right
    assert len(rows)
    assert rows.min() > 0.4 * pixels.shape[0]
    assert columns.max() < 0.4 * pixels.shape[1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("characters", [[], ["힣"], list("가나다라마바사") * 20])
def test_attention_of_any_number_of_characters_is_drawn(
    tmp_path: Path, characters: list[str]
) -> None:
    """Hangul has its glyphs: matplotlib would warn of each that the font lacks."""
    alignment = np.full((len(characters), 3), 1 / 3)
    plots.attention(tmp_path / "a.png", alignment, characters, 1.0, "한글 <제목> $x^$ 100%")
    assert image(tmp_path / "a.png").shape[:2] == (495, 880)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
