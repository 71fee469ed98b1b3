"""What a training of a language model leaves to be read: `results.md` and the learning curve."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from sorigeul.base.files import write_text
from sorigeul.base.plots import save_figure
from sorigeul.lm.text_data import TextData
from sorigeul.training.metrics import training_environment

TABLE_HEAD = (
    "|Step|Epochs|train loss|held-out loss|perplexity|bits a character|\n"
    "|---:|---:|---:|---:|---:|---:|"
)


def table_row(row: Mapping[str, Any]) -> str:
    """The line of an evaluation; a dash for what the model does not have."""
    formats = {
        "step": "d",
        "epochs": ".2f",
        "train_loss": ".4f",
        "heldout_loss": ".4f",
        "heldout_perplexity": ".2f",
        "heldout_bits_per_character": ".4f",
    }
    cells = ("-" if row.get(name) is None else format(row[name], formats[name]) for name in formats)
    return "|".join(["", *cells, ""])


def heldout_metrics(loss: float) -> dict[str, float]:
    """Loss in nats a character -> the metrics of an evaluation, under their names."""
    return {
        "heldout_loss": loss,
        "heldout_perplexity": math.exp(min(loss, 700.0)),
        "heldout_bits_per_character": loss / math.log(2),
    }


def text_counts(text: TextData) -> dict[str, str]:
    """What the text of a training is, by count."""
    counted = "units" if text.vocabulary.kind == "bpe" else "characters"
    counts = {
        f"training {counted}": f"{len(text.train):,}",
        f"held-out {counted}": f"{len(text.heldout):,}",
        "vocabulary": f"{len(text.vocabulary):,} units",
    }
    for name in ("train_lines", "heldout_lines", "unknown_characters"):
        if name in text.report:
            counts[name.replace("_", " ").replace("heldout", "held-out")] = f"{text.report[name]:,}"
    for reason, count in text.report.get("left_out", {}).items():
        counts[f"left out, {reason}"] = f"{count:,}"
    return counts


def write_results(
    folder: Path, rows: Sequence[Mapping[str, Any]], text: Mapping[str, Any], device: torch.device
) -> None:
    """Write `results.md`: the environment, the text by count, and a line for each evaluation."""
    counts = "\n".join(f"{name} : {count}" for name, count in text.items())
    table = "\n".join([TABLE_HEAD, *map(table_row, rows)])
    write_text(
        folder / "results.md",
        f"### Training Environment\n```\n{training_environment(device)}\n```\n\n"
        f"### Text\n```\n{counts}\n```\n\n### Training Result\n\n{table}\n\n"
        "Losses are in nats a character. The end of a line counts as a character; characters that "
        "the vocabulary does not have do not count.\n",
    )


def plot_learning_curve(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Plot the losses of the evaluations over the steps."""
    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.add_subplot()
    for name in ("train_loss", "heldout_loss"):
        points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
        if points:
            label = name.replace("_", " ").replace("heldout", "held-out")
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
    axes.set(xlabel="step", ylabel="loss (nats a character)")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    save_figure(figure, path)
