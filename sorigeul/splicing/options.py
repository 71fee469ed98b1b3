"""Options of `splice`."""

from dataclasses import dataclass
from typing import Annotated

from sorigeul.alignment.ranges import SCORE
from sorigeul.base.ranges import SEED, check_ranges
from sorigeul.splicing.ranges import COPIES


@dataclass(frozen=True)
class SpliceOptions:
    """How many new utterances there are, and what of the old ones they are made of."""

    copies: Annotated[float, COPIES] = 1.0
    """times that the speech of train is cut and joined anew"""
    min_score: Annotated[float, SCORE] = -3.0
    """mean log-probability of the characters of a word; one with less is in no piece"""
    seed: Annotated[int, SEED] = 0
    """another number gives other sentences"""

    def __post_init__(self) -> None:
        """Raise UserError for values that make no sense."""
        check_ranges(self)
