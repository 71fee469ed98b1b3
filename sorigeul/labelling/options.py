"""Options of `label`."""

from dataclasses import dataclass
from typing import Annotated

from sorigeul.base.ranges import SHARE, check_ranges


@dataclass(frozen=True)
class LabelOptions:
    """Which utterances are kept."""

    min_confidence: Annotated[float, SHARE] = 0.7
    """least share of the characters that the recogniser expects to be correct"""
    min_agreement: Annotated[float, SHARE] = 0.8
    """least share of the characters that are also in what the second judge heard"""

    def __post_init__(self) -> None:
        """Raise UserError for values that make no sense."""
        check_ranges(self)
