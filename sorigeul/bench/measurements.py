"""A measured number, what it is compared with, what it should reach; the table of them all.

Knows nothing of how anything is measured.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sorigeul.base import plots
from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text

_BEGIN, _END = "<!-- figures -->", "<!-- end of figures -->"
_HEAD = "| figure | value | compared with | ratio | target |\n| --- | ---: | --- | ---: | --- |\n"


@dataclass(frozen=True)
class Target:
    """What a figure should reach."""

    of: Literal["value", "ratio"]
    bound: Literal["at least", "at most"]
    number: float
    limit: str
    """what stands in the way where it is missed"""

    def verdict(self, measured: float) -> str:
        """Whether it is met; if not, by how much."""
        miss = measured / self.number - 1
        if self.bound == "at least":
            miss = 1 - measured / self.number
        return "met" if miss <= 0 else f"missed by {100 * miss:.0f} %: {self.limit}"

    def __str__(self) -> str:
        return f"{self.bound} {self.number:g}{' times' if self.of == 'ratio' else ''}"


@dataclass(frozen=True)
class Point:
    """Where a figure stands in a plot."""

    plot: Literal["recognition", "training", "corpus"]
    line: str
    x: float


PLOTS = {
    "recognition": (
        "Recognition, one recording at a time",
        "seconds of audio",
        "seconds of work a second",
    ),
    "training": ("Training step", "seconds an utterance", "audio-seconds a second"),
    "corpus": ("Start of a training", "utterances in the corpus", "seconds to the first batch"),
}
"""what each plot shows: title, horizontal and vertical axis"""


@dataclass(frozen=True)
class Measurement:
    """A measurement. `ratio` says how many times better than the yardstick it is."""

    name: str
    value: float
    unit: str
    yardstick: str = ""
    ratio: float | None = None
    targets: tuple[Target, ...] = ()
    point: Point | None = None

    def verdicts(self) -> dict[str, str]:
        """Each target and what became of it."""
        measured = {"value": self.value, "ratio": self.ratio or 0.0}
        return {str(target): target.verdict(measured[target.of]) for target in self.targets}

    def to_json(self) -> str:
        """One line: name, value, unit, yardstick, ratio, and the targets with their verdicts."""
        parts = {name: getattr(self, name) for name in ("name", "value", "unit", "yardstick")}
        return json.dumps({**parts, "ratio": self.ratio, "targets": self.verdicts()})

    def cells(self) -> list[str]:
        """The name, the value with its unit, the yardstick, the ratio, the targets."""
        targets = "; ".join(f"{target}: {verdict}" for target, verdict in self.verdicts().items())
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return [self.name, f"{_rounded(self.value)} {self.unit}", self.yardstick, ratio, targets]


def _rounded(value: float) -> str:
    """Four digits, or as many as there are before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def write_report(
    path: Path, command: str, measured_on: str, figures: Sequence[Measurement]
) -> None:
    """Put the table between the two marks of a Markdown file, and the plots beside it.

    Raises UserError where the file lacks the marks.
    """
    text = path.read_text(encoding="utf-8") if path.is_file() else f"{_BEGIN}\n{_END}\n"
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise UserError(f"{path} has no lines '{_BEGIN}' and '{_END}' to put the table between")
    rows = "".join("| " + " | ".join(figure.cells()) + " |\n" for figure in figures)
    table = f"{_BEGIN}\n`{command}`\n\n{measured_on}.\n\n{_HEAD}{rows}{_END}"
    write_text(path, before + table + after)
    for plot, (title, x_label, y_label) in PLOTS.items():
        curves: dict[str, list[tuple[float, float]]] = {}
        for figure in figures:
            if figure.point is not None and figure.point.plot == plot:
                curves.setdefault(figure.point.line, []).append((figure.point.x, figure.value))
        if curves:
            drawn = path.parent / "docs" / "images" / f"bench_{plot}.png"
            plots.scaling_curves(drawn, title, x_label, y_label, curves)
