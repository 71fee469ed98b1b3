"""Types of arguments and options that several commands share."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Annotated, TypeVar

from tyro.conf import Positional

from sorigeul.base.errors import UserError
from sorigeul.cli.arguments import positional

Value = TypeVar("Value")

DEFAULT_PRESET = "small"

Run = Annotated[Positional[str], positional("RUN")]
Data = Annotated[Positional[Path], positional("DATA")]
File = Annotated[Path | None, positional("FILE")]


def chosen_split(split: str, default: str, *places: Path) -> str:
    """Which manifest of a folder is meant: `default` if the option is not given.

    Raises UserError if it is given, and all places are manifests themselves.
    """
    if split and all(place.is_file() for place in places):
        raise UserError(
            f"--split {split} chooses from a folder of manifests, and {places[0]} is a file: leave "
            "it out"
        )
    return split or default


def flattened(groups: Iterable[Iterable[Value]]) -> tuple[Value, ...]:
    """The values of an option that takes several at a time, and may be given several times."""
    return tuple(chain.from_iterable(groups))
