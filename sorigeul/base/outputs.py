"""Looks at what a command would overwrite, before any of its work begins.

Does not know about commands: they say what they read, what they write, and how to tell a file that
they wrote before.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular

HEAD_SIZE = 4096
"""bytes by which a file of ours is told from others"""

PLOT = rb"\x89PNG[\s\S]*Matplotlib"
"""how a plot of ours begins"""


@dataclass(frozen=True)
class Output:
    """A file that a command will write."""

    path: Path
    source: str
    """what it is written for: an option, or a recording"""
    begins: bytes | None = None
    """regular expression for how such a file begins; one that was written before may be replaced.
    None: none may be"""

    def is_ours(self) -> bool:
        """Whether the file that is there was written by the same command before, or is empty."""
        with self.path.open("rb") as file:
            head = file.read(HEAD_SIZE)
        return not head or (self.begins is not None and bool(re.match(self.begins, head)))


def refuse_overwriting(
    outputs: Sequence[Output], inputs: Iterable[str | Path], overwrite: bool, remedy: str = ""
) -> None:
    """Raise UserError if a file to write is one of `inputs`, belongs to another, or is no file.

    A file that is there and that the command has not written itself is only replaced with
    `overwrite`; an input never is, nor what another has put into a folder that is one. `remedy`:
    another way out than `--overwrite`, such as `--resume for what is missing, `.
    """
    read = _Inputs(inputs)
    written: dict[str, Output] = {}
    for output in outputs:
        place = os.path.realpath(output.path)
        if place in written:
            raise UserError(
                f"{written[place].source} and {output.source} would both be written to "
                f"{output.path}: write them to different places"
            )
        written[place] = output
        if not os.path.exists(output.path):
            continue
        if (found := read.same_file(output.path)) is not None:
            raise _would_replace(output, f"is {found}")
        check_regular(output.path)
        if output.is_ours():
            continue
        if (folder := read.folder_of(place)) is not None:
            raise _would_replace(output, f"is in {folder}")
        if not overwrite:
            raise UserError(
                f"{output.path} exists, and {output.source} would overwrite it: {remedy}give "
                "--overwrite if you mean it, or choose another place"
            )


def _would_replace(output: Output, what_it_is: str) -> UserError:
    return UserError(
        f"{output.path}, for {output.source}, {what_it_is}, which this command reads, and would be "
        "overwritten: choose another place"
    )


class _Inputs:
    """What a command reads; it is looked at only if it might be overwritten."""

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self._paths = list(paths)

    @cached_property
    def _by_identity(self) -> dict[tuple[int, int] | None, str | Path]:
        return {_identity(path): path for path in self._paths}

    @cached_property
    def _folders(self) -> dict[str, str | Path]:
        return {os.path.realpath(path): path for path in self._paths if os.path.isdir(path)}

    def same_file(self, path: Path) -> str | Path | None:
        """The input that is the file at `path`, which is there, under whatever name."""
        return self._by_identity.get(_identity(path))

    def folder_of(self, place: str) -> str | Path | None:
        """The input that is a folder in which the file at the real path `place` lies."""
        parents = map(str, Path(place).parents)
        return next((self._folders[one] for one in parents if one in self._folders), None)


def _identity(path: str | Path) -> tuple[int, int] | None:
    """What all names and links of a file have in common; None if there is no such file."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
