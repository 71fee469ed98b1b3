"""A measurement: its value and unit, its ratio to a yardstick, the targets it should reach.

Does not know how anything is measured.
"""

import json
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Target:
    """What a measurement should reach."""

    of: Literal["value", "ratio"]
    bound: Literal["at least", "at most"]
    number: float
    limit: str
    """what prevents it, if it is missed"""

    def verdict(self, measured: float) -> str:
        """Whether it is met; if not, by how much it is missed."""
        miss = measured / self.number - 1
        if self.bound == "at least":
            miss = 1 - measured / self.number
        return "met" if miss <= 0 else f"missed by {100 * miss:.0f} %: {self.limit}"

    def __str__(self) -> str:
        return f"{self.bound} {self.number:g}{' times' if self.of == 'ratio' else ''}"


@dataclass(frozen=True)
class Point:
    """Position of a measurement in a plot."""

    plot: Literal["recognition", "training", "corpus"]
    line: str
    x: float


@dataclass(frozen=True)
class Measurement:
    """A measured value and what it is compared with."""

    name: str
    value: float
    unit: str
    yardstick: str = ""
    """what it is compared with, and its value"""
    ratio: float | None = None
    """how many times better than the yardstick it is"""
    targets: tuple[Target, ...] = ()
    point: Point | None = None

    def verdicts(self) -> dict[str, str]:
        """Each target, and whether it is met."""
        measured = {"value": self.value, "ratio": self.ratio or 0.0}
        return {str(target): target.verdict(measured[target.of]) for target in self.targets}

    def to_json(self) -> str:
        """One line: name, value, unit, yardstick, ratio, and the targets with their verdicts."""
        values = {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "yardstick": self.yardstick,
            "ratio": self.ratio,
            "targets": self.verdicts(),
        }
        return json.dumps(values)

    def cells(self) -> list[str]:
        """Cells of a table: name, value with unit, yardstick, ratio, targets with verdicts."""
        targets = "; ".join(f"{target}: {verdict}" for target, verdict in self.verdicts().items())
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return [self.name, f"{_rounded(self.value)} {self.unit}", self.yardstick, ratio, targets]


def _rounded(value: float) -> str:
    """Four digits, or as many as there are before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
