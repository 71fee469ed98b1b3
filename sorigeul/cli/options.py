"""Types of arguments and options that several commands share."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Annotated, TypeVar

from tyro.conf import Positional

from sorigeul.cli.arguments import positional

Value = TypeVar("Value")

DEFAULT_PRESET = "small"

Run = Annotated[Positional[str], positional("RUN")]
Data = Annotated[Positional[Path], positional("DATA")]
File = Annotated[Path | None, positional("FILE")]


def flattened(groups: Iterable[Iterable[Value]]) -> tuple[Value, ...]:
    """The values of an option that takes several at a time, and may be given several times."""
    return tuple(chain.from_iterable(groups))
