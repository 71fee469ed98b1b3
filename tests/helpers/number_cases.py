"""The hand-checked pairs of written and spoken text of `tests/text/numbers.tsv`."""

from typing import NamedTuple

from helpers.paths import ROOT


class NumberCase(NamedTuple):
    """A pair, and which way it is converted: both, spoken or written."""

    written: str
    spoken: str
    way: str


def number_cases() -> list[NumberCase]:
    """All of them, as they stand in the table."""
    table = (ROOT / "tests" / "text" / "numbers.tsv").read_text(encoding="utf-8")
    lines = (line for line in table.splitlines() if line and not line.startswith("#"))
    return [NumberCase(*line.split("\t")) for line in lines]


CASES = number_cases()
"""read once"""
