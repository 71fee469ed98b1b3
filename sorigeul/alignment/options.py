"""Options of `align`."""

from dataclasses import dataclass
from typing import Annotated

from sorigeul.alignment.ranges import LONGEST, SCORE
from sorigeul.base.ranges import check_ranges
from sorigeul.text.normalization import Numbers


@dataclass(frozen=True)
class AlignOptions:
    """How recordings are cut into utterances."""

    max_seconds: Annotated[float, LONGEST] = 15.0
    """longest utterance"""
    min_score: Annotated[float, SCORE] = -4.5
    """mean log-probability of the characters of an utterance; one with less is left out"""
    lines: bool = False
    """each line of the text is an utterance; otherwise utterances end at pauses"""
    numbers: Numbers = "spoken"
    """how numbers, units and Latin letters of the text are written"""

    def __post_init__(self) -> None:
        """Raise UserError for values that make no sense."""
        check_ranges(self)
