"""Parses the arguments of a command with tyro; what is wrong with them becomes one line.

Does not know what the commands do.
"""

import argparse
import contextlib
import inspect
import io
import re
from collections.abc import Callable, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import check_numbers


def positional(name: str) -> Any:
    """An argument that the usage line calls `name`; its help does not mention a default."""
    return tyro.conf.arg(metavar=name, help_behavior_hint="")


def positionals(arguments: Sequence[str]) -> list[str]:
    """The arguments that are neither options nor the one value that each option takes."""
    values, remaining = [], iter(arguments)
    for argument in remaining:
        if not argument.startswith("-"):
            values.append(argument)
        elif "=" not in argument:
            next(remaining, None)
    return values


class SettingsOrigin(NamedTuple):
    """Where the settings of `train` and `doctor` come from, as their arguments say."""

    preset: str | None
    config: Path | None
    init_from: str | None
    run: Path | None
    """the second positional argument, if there is one"""


def settings_origin(arguments: Sequence[str]) -> SettingsOrigin:
    """Find the arguments that decide the defaults of all other options, before these are parsed.

    Raises UserError if both --config and --preset are given.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--init_from", "--init-from")
    parser.add_argument("--restart", action="store_true")  # takes no value, unlike all others
    with contextlib.redirect_stderr(io.StringIO()):  # tyro reports the same error better, later
        try:
            known, rest = parser.parse_known_args(list(arguments))
        except SystemExit:
            return SettingsOrigin(None, None, None, None)
    if known.config and known.preset:
        raise UserError("--config and --preset exclude each other: each says where to start from")
    places = positionals(rest)
    run = Path(places[1]) if len(places) > 1 else None
    return SettingsOrigin(known.preset, known.config, known.init_from, run)


def parse_and_run(command: Callable[..., None], name: str, arguments: Sequence[str]) -> None:
    """Parse the arguments of a command and call it; a boolean option is true if it is given.

    Raises UserError, in one line, for arguments that tyro refuses.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            call = tyro.cli(
                _deferred(command),
                prog=f"sorigeul {name}",
                args=list(arguments),
                use_underscores=True,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise UserError(_one_line(complaint.getvalue(), name)) from None
    call()


def _deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """A function with the signature of the command that returns the call instead of making it.

    So standard error is captured while tyro parses, but not while the command runs.
    """

    signature = inspect.signature(command)

    def bind(*values: Any, **options: Any) -> Callable[[], None]:
        check_numbers(command.__annotations__, signature.bind(*values, **options).arguments)
        return lambda: command(*values, **options)

    bind.__signature__ = signature  # type: ignore[attr-defined]
    bind.__doc__ = re.sub(r"\n {12,}", " ", command.__doc__ or "")  # tyro breaks lines itself
    bind.__annotations__ = command.__annotations__
    return bind


def _one_line(complaint: str, name: str) -> str:
    """The box that tyro prints -> its text above the first rule, and the option it suggests."""
    lines = [line.strip("│ ") for line in complaint.splitlines()]
    below_title = [line for line in lines if line][1:]
    is_rule = re.compile("[─-]+").fullmatch  # hyphens if the terminal has no line drawing
    text = takewhile(lambda line: not is_rule(line), dropwhile(is_rule, below_title))
    sentence = " ".join(text).rstrip(".")
    suggested = re.search(r"--[a-z]\w*", complaint.partition("Perhaps you meant")[2])
    hint = f"; perhaps {suggested[0]}" if suggested else ""
    return f"{sentence or 'the options cannot be read'}{hint} (sorigeul {name} --help)"
