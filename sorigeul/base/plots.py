"""Plots as PNG files: attention, learning curves, benchmark curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import koreanize_matplotlib  # noqa: F401  (registers a font with Hangul)
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sorigeul.base.files import replacing

mpl.use("Agg")


def attention(
    path: Path,
    alignment: "np.ndarray[Any, Any]",
    characters: Sequence[str],
    seconds: float,
    title: str,
) -> None:
    """Plot the attention (U, S) of U characters over S listener frames, `seconds` of audio."""
    # Margins are set by hand: finding them draws everything twice, and training waits for it.
    figure = Figure(figsize=(8, 4.5))
    axes = figure.add_axes((0.06, 0.12, 0.82, 0.78))
    rows = max(len(characters), 1)
    image = axes.imshow(
        alignment if len(characters) else np.zeros((1, max(alignment.shape[1], 1))),
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        cmap="viridis",
        vmin=0,
        vmax=1,
        extent=(0, seconds, -0.5, rows - 0.5),
    )
    axes.set_yticks(range(len(characters)), ["·" if c == " " else c for c in characters])
    axes.tick_params(axis="y", labelsize=max(4, min(10, 220 // rows)))
    axes.set_xlabel("seconds")
    axes.set_title(title.replace("$", r"\$"), fontsize=10, wrap=True)  # "$" would start TeX
    figure.colorbar(image, cax=figure.add_axes((0.9, 0.12, 0.02, 0.78)), label="attention")
    save_figure(figure, path)


def learning_curves(path: Path, epochs: Sequence[dict[str, Any]]) -> None:
    """Plot loss, character recognition rate (CRR) and alignment metrics over the epochs.

    Each epoch is a row of `metrics.jsonl`. The panel of the alignment is left out if no epoch has
    alignment metrics.
    """
    panels = [
        (("train_loss", "valid_loss"), "loss per character", None),
        (
            ("train_crr", "valid_crr", "valid_ctc_crr", "valid_beam_crr", "test_crr"),
            "CRR (%)",
            (-5, 105),
        ),
        (("valid_diagonality", "valid_coverage", "valid_focus"), "alignment", (-0.05, 1.05)),
    ]
    if not any(name in epoch for epoch in epochs for name in panels[2][0]):
        del panels[2]
    width = 4.5 * len(panels)
    figure = Figure(figsize=(width, 3.6))  # margins by hand, as of the attention
    figure.subplots_adjust(0.65 / width, 0.14, 1 - 0.1 / width, 0.97, wspace=0.22)
    numbers = [epoch["epoch"] for epoch in epochs]
    for axes, (names, y_label, limits) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for name in names:
            values = [epoch.get(name) for epoch in epochs]
            if any(value is not None for value in values):
                with_gaps = [np.nan if value is None else value for value in values]
                label = name.replace("_", " ")
                axes.plot(numbers, with_gaps, marker="o", markersize=3, label=label)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_ylabel(y_label)
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
        axes.set_ylim(limits)
    save_figure(figure, path)


def scaling_curves(
    path: Path,
    title: str,
    x_label: str,
    y_label: str,
    curves: Mapping[str, Sequence[tuple[float, float]]],
) -> None:
    """Plot curves, each a list of points (x, y), with both axes starting at zero."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=name)
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    axes.set_xlim(0)
    axes.set_ylim(0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save_figure(figure, path)


def histogram(
    path: Path, title: str, x_label: str, values: Sequence[float], marks: Mapping[str, float]
) -> None:
    """Plot how many of the values lie where, with lines at the `marks`."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(values, bins=60)
    for number, (name, value) in enumerate(marks.items(), 1):
        axes.axvline(value, color=f"C{number}", label=name)
    axes.set(title=title, xlabel=x_label, ylabel="how many")
    axes.grid(alpha=0.3)
    if marks:
        axes.legend(fontsize=8)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, atomically."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
