"""Metrics of a run: `metrics.jsonl`, TensorBoard events, the seed's table, learning curves.

Does not know how the metrics are computed.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from sorigeul.base import plots
from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.machine import processor
from sorigeul.base.streams import print_line

METRICS = "metrics.jsonl"
_CURVES_SECONDS = 10.0  # between two drawings of the learning curves; it takes half a second
_NO_NUMBERS = ("kind", "epochs")
_TABLE = ("train_crr", "valid_crr", "test_crr")
_TABLE_HEAD = (
    "|Epoch|train CRR (%)|valid CRR (%)|test CRR (%)|",
    "|:-----:|:---------:|:--------:|:------:|",
)


def read_metrics(folder: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """The rows of a run's `metrics.jsonl`, of one kind (`step`, `epoch`) or all.

    Raises UserError for a line that no run has written.
    """
    path = folder / METRICS
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    # A last line without a line end was cut off when the run was killed or the disk was full.
    lines = text.split("\n")[:-1]
    rows = [_row(line, f"{path}:{number}") for number, line in enumerate(lines, 1)]
    return [row for row in rows if kind in (None, row["kind"])]


def _row(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if not isinstance(row, dict) or not isinstance(row.get("kind"), str):
            raise ValueError("it has no kind")
        for name in ("step", "epoch") if row["kind"] == "epoch" else ("step",):
            if type(row.get(name)) is not int:
                raise ValueError(f"{name} is not a whole number")
        for name, value in row.items():
            if not (name in _NO_NUMBERS or value is None or isinstance(value, int | float)):
                raise ValueError(f"{name} is not a number")
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is damaged ({error}): remove the line") from error
    return row


class MetricsLog:
    """Writes the metrics of a run while it trains."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.folder, self.device = folder, device
        self.rows = 0
        self._curves_drawn_at = -_CURVES_SECONDS
        self._curves_are_old = False
        self._path = folder / METRICS
        self._writer: SummaryWriter | None = None

    def begin(self, step: int, rows: int) -> None:
        """Keep the first `rows` rows and the events up to `step`; drop all that was written later.

        Both are needed, since the last step of an epoch and the epoch itself have the same step.
        """
        kept_rows = read_metrics(self.folder)[:rows]
        write_text(self._path, "".join(f"{json.dumps(row)}\n" for row in kept_rows))
        self.rows = len(kept_rows)
        self._curves_are_old = any(row["kind"] == "epoch" for row in kept_rows)
        self._writer = SummaryWriter(str(self.folder), purge_step=step + 1)

    @property
    def _events(self) -> SummaryWriter:
        assert self._writer is not None, "call begin first"
        return self._writer

    def flush(self) -> int:
        """Write everything to disk, so that it survives a power cut; return the number of rows."""
        with self._path.open("rb+") as file:
            os.fsync(file.fileno())
        self._events.flush()
        return self.rows

    def write(self, row: dict[str, Any]) -> None:
        """Add a row; `kind` and `step` are among its keys."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(row)}\n")
        except OSError as error:
            error.filename = str(self._path)  # Python names no file when a write fails
            raise
        self.rows += 1
        for name, value in row.items():
            if isinstance(value, float):
                self._events.add_scalar(f"{row['kind']}/{name}", value, row["step"])

    def close_epoch(self, row: dict[str, Any], started: str) -> None:
        """Add the row of an epoch, rewrite table and curves, and print the table's new line.

        The curves of an epoch that follows soon after another are left for a later one, or the end.
        """
        self.write(row)
        epochs = read_metrics(self.folder, "epoch")
        self._curves_are_old = True
        if time.monotonic() - self._curves_drawn_at >= _CURVES_SECONDS:
            self._draw_curves()
        columns = _corpus_columns(epochs)
        table = "\n".join([table_head(columns), *(table_row(epoch, columns) for epoch in epochs)])
        means = "" if not columns else " Of several corpora, valid and test are the means."
        write_text(
            self.folder / "results.md",
            f"### Training Environment\n```\n{training_environment(self.device)}\n```\n\n"
            f"### Training Result\n\nTraining Start Date: {started}\n\n{table}\n\n"
            "**CRR** : Character Recognition Rate, spaces left out. Training's is measured on "
            f"teacher-forced output, the others free-running.{means}\n",
        )
        if len(epochs) == 1:
            print_line(table_head(columns))
        print_line(table_row(row, columns))

    def _draw_curves(self) -> None:
        epochs = read_metrics(self.folder, "epoch")
        plots.learning_curves(self.folder / "plots" / "learning_curves.png", epochs)
        self._curves_drawn_at, self._curves_are_old = time.monotonic(), False

    def close(self) -> None:
        """Close the file of events, and draw the curves that no epoch has drawn."""
        if self._writer is not None:
            self._writer.close()
            if self._curves_are_old:
                self._draw_curves()


def _corpus_columns(epochs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rates of each corpus, where a run has several: `pansori/valid_crr` and so on."""
    names = dict.fromkeys(name for row in epochs for name in row)
    return [name for name in names if name.endswith(("/valid_crr", "/test_crr"))]


def table_head(columns: Sequence[str] = ()) -> str:
    """The two lines above the seed's table, with further columns for the rates of each corpus."""
    names, rule = _TABLE_HEAD
    further = "".join(f"{name.removesuffix('_crr').replace('/', ' ')}|" for name in columns)
    return f"{names}{further}\n{rule}{':---:|' * len(columns)}"


def table_row(row: Mapping[str, Any], columns: Sequence[str] = ()) -> str:
    """A line of the table, with a dash for a split that the corpus does not have."""
    rates = (row.get(name) for name in (*_TABLE, *columns))
    cells = ("-" if rate is None else f"{rate:.2f}" for rate in rates)
    return "|".join(["", str(row["epoch"]), *cells, ""])


def training_environment(device: torch.device) -> str:
    """Device, CUDA version and PyTorch version, in the words of the seed."""
    threads = "" if device.type == "cuda" else f", {torch.get_num_threads()} threads"
    return (
        f"Device : {processor(device)}{threads}\nCUDA version : {torch.version.cuda or '-'}\n"
        f"PyTorch version : {torch.__version__}"
    )
