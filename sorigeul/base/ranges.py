"""Ranges of numeric options: each is stated beside its option, and all are checked here.

``lr: Annotated[float, Range(0, 100, above=True)]`` in a dataclass, or in a signature of a command.
A range also keeps out what is no number at all, and sizes that no machine can serve. A word may
stand in place of a number: ``Annotated[int | Literal["auto"], Range(1, 9, word="auto")]``.
"""

import dataclasses
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from sorigeul.base.errors import UserError


@dataclasses.dataclass(frozen=True)
class Range:
    """From the lowest number to the highest; `above` and `below` leave out these two themselves.

    `word` may stand in place of a number, if there is one.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False
    word: str = ""

    def __contains__(self, number: float | str) -> bool:
        if isinstance(number, str):
            return number == self.word != ""
        if self.low < number < self.high:  # false for what is not a number
            return True
        return (number == self.low and not self.above) or (number == self.high and not self.below)

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'at least'} {_plain(self.low)}"
        high = f"{'below' if self.below else 'at most'} {_plain(self.high)}"
        return f"{low} and {high}{self._or_word}"

    @property
    def brief(self) -> str:
        """As it stands in the help of an option, beside its default."""
        above, below = "above " * self.above, "below " * self.below
        return f"{above}{self.low} to {below}{self.high}{self._or_word}"

    @property
    def _or_word(self) -> str:
        return f", or {self.word}" if self.word else ""


SHARE = Range(0, 1)
SHARE_BELOW_1 = Range(0, 1, below=True)
SEED = Range(0, 2**32 - 1)
COUNT = Range(1, 10**9)
"""of steps and the like, where there must be one"""
COUNT_OR_NONE = Range(0, 10**9)
"""of steps and the like, where 0 means none or no limit"""
WEIGHT = Range(0, 1000)
SECONDS = Range(0, 10**9)
LEARNING_RATE = Range(0, 100, above=True)
PROCESSES = Range(0, 1024)
"""0: as many as suit the machine"""
BATCH_SECONDS = Range(0, 10**6)
SAMPLING_RATE = Range(1_000, 1_000_000)
"""Hz; a recording that claims another one is damaged"""
CHANNELS = Range(1, 64)
TEMPERATURE = Range(0.0001, 1000)
"""of a draw; probabilities below it are beyond what numbers hold"""
TEXTS = Range(1, 1000)
"""of each segment that a search returns"""
SUBTITLE_LINE = Range(8, 1000)
"""characters"""


def check_ranges(record: Any) -> None:
    """Check the numbers in a dataclass whose fields state a range; UserError, which gives it."""
    hints = get_type_hints(type(record), include_extras=True)
    check_numbers(hints, {name: getattr(record, name) for name in hints})


def check_numbers(hints: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Check values by the ranges in their annotations; each of several numbers, and no None."""
    for name, hint in hints.items():
        if name in values and (limits := range_of(hint)) is not None:
            check_number(name, values[name], limits)


def range_of(hint: Any) -> Range | None:
    """The range that an annotation states, if there is one."""
    if get_origin(hint) is not Annotated:
        return None
    return next((one for one in get_args(hint)[1:] if isinstance(one, Range)), None)


def check_number(name: str, value: Any, limits: Range) -> None:
    """Check a number, or each of several, but no None; UserError, which gives the range."""
    for number in value if isinstance(value, tuple | list) else (value,):
        if number is not None and number not in limits:
            raise UserError(f"{name} is {reprlib.repr(number)}, but must be {limits}")


def _plain(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
