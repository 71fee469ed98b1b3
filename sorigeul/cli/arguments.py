"""The words after `sorigeul COMMAND`: parsed by tyro, with complaints of one line.

Knows nothing of what the commands do.
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


def positional(name: str) -> Any:
    """An argument that the usage line calls by `name`. None has a default worth telling."""
    return tyro.conf.arg(metavar=name, help_behavior_hint="")


def positionals(arguments: Sequence[str]) -> list[str]:
    """The arguments that are neither options nor the one value that each option takes."""
    found, others = [], iter(arguments)
    for argument in others:
        if not argument.startswith("-"):
            found.append(argument)
        elif "=" not in argument:
            next(others, None)
    return found


class SettingsOrigin(NamedTuple):
    """What the words of `train` and `doctor` say about where settings come from."""

    preset: str | None
    config: Path | None
    init_from: str | None
    run: Path | None
    """the second place, if there is one"""


def look_ahead(arguments: Sequence[str]) -> SettingsOrigin:
    """Look ahead for what decides the defaults of all other options."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--init_from", "--init-from")
    with contextlib.redirect_stderr(io.StringIO()):  # tyro says it better, just after
        try:
            known, rest = parser.parse_known_args(list(arguments))
        except SystemExit:
            return SettingsOrigin(None, None, None, None)
    if known.config and known.preset:
        raise UserError("--config and --preset exclude each other: each says where to start from")
    given = positionals(rest)
    run = Path(given[1]) if len(given) > 1 else None
    return SettingsOrigin(known.preset, known.config, known.init_from, run)


def parse_and_run(
    command: Callable[..., None], name: str, arguments: Sequence[str], values: bool = False
) -> None:
    """Let tyro parse the options of a command; its complaint becomes one line.

    With `values`, what is true or false is said so (``--use_augment False``), as in YAML; without,
    naming it turns it on.
    """
    truth = tyro.conf.FlagConversionOff if values else tyro.conf.FlagCreatePairsOff
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = tyro.cli(
                _deferred(command),
                prog=f"sorigeul {name}",
                args=list(arguments),
                use_underscores=True,
                config=(truth, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise UserError(_one_line(said.getvalue(), name)) from None
    parsed()


def _deferred(command: Callable[..., None]) -> Callable[..., Callable[[], None]]:
    """The command with its options bound but not yet run, so that only parsing is captured."""

    def bind(*values: Any, **options: Any) -> Callable[[], None]:
        return lambda: command(*values, **options)

    bind.__signature__ = inspect.signature(command)  # type: ignore[attr-defined]
    bind.__doc__ = re.sub(r"\n {12,}", " ", command.__doc__ or "")  # tyro breaks lines itself
    bind.__annotations__ = command.__annotations__
    return bind


def _one_line(complaint: str, name: str) -> str:
    """Tyro's box -> what stands above its first rule, and what it thinks was meant."""
    lines = [line.strip("│ ") for line in complaint.splitlines()]
    below_title = [line for line in lines if line][1:]
    is_rule = re.compile("[─-]+").fullmatch  # of hyphens where the terminal knows no better
    said = takewhile(lambda line: not is_rule(line), dropwhile(is_rule, below_title))
    sentence = " ".join(said).rstrip(".")
    meant = re.search(r"--[a-z]\w*", complaint.partition("Perhaps you meant")[2])
    hint = f"; perhaps {meant[0]}" if meant else ""
    return f"{sentence or 'the options cannot be read'}{hint} (sorigeul {name} --help)"
