"""CTC paths of a vocabulary of five: 0 and 1 are characters, 2 and 3 marks, 4 is the blank."""

import itertools
from collections.abc import Sequence

BLANK = 4  # also the padding of tokens


def collapse(path: Sequence[int]) -> list[int]:
    """The text of a CTC path: repeats merged, then blanks removed."""
    return [unit for unit, _ in itertools.groupby(path) if unit != BLANK]
