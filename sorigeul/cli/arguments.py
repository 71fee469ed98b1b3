"""Parses the arguments of a command with tyro; what is wrong with them becomes one line.

Does not know what the commands do.
"""

import argparse
import contextlib
import dataclasses
import inspect
import io
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructTypeInfo

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import Range, check_numbers, range_of


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
    listener: str | None
    run: Path | None
    """the last positional argument, if there are two or more"""


def settings_origin(arguments: Sequence[str]) -> SettingsOrigin:
    """Find the arguments that decide the defaults of all other options, before these are parsed.

    Raises UserError if both --config and --preset are given.
    """
    known, places = _known_options(arguments)
    if known.config and known.preset:
        raise UserError("--config and --preset exclude each other: each says where to start from")
    run = Path(places[-1]) if len(places) > 1 else None
    return SettingsOrigin(known.preset, known.config, known.init_from, known.listener, run)


def training_corpora(arguments: Sequence[str]) -> list[str]:
    """The corpora among the arguments of `train`; none if they cannot be read."""
    return _known_options(arguments)[1][:-1]


def _known_options(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The options of `train` that decide about others or take no single value, and the places."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--init_from", "--init-from")
    parser.add_argument("--listener")
    parser.add_argument("--weights", nargs="*")
    parser.add_argument("--restart", action="store_true")  # takes no value, unlike all others
    with contextlib.redirect_stderr(io.StringIO()):  # tyro reports the same error better, later
        try:
            known, rest = parser.parse_known_args(list(arguments))
        except SystemExit:
            return parser.parse_args([]), []
    return known, positionals(rest)


def parse_and_run(command: Callable[..., None], name: str, arguments: Sequence[str]) -> None:
    """Parse the arguments of a command and call it; a boolean option is true if it is given.

    Raises UserError, in one line, for arguments that tyro refuses.
    """
    complaint = io.StringIO()
    ranges: dict[str, Range] = {}
    try:
        with contextlib.redirect_stderr(complaint):
            call = tyro.cli(
                _deferred(command, ranges),
                prog=f"sorigeul {name}",
                args=list(arguments),
                use_underscores=True,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
                registry=_showing(ranges),
            )
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise UserError(_one_line(complaint.getvalue(), name, ranges)) from None
    call()


def _deferred(
    command: Callable[..., None], ranges: dict[str, Range]
) -> Callable[..., Callable[[], None]]:
    """A function with the signature of the command that returns the call instead of making it.

    So standard error is captured while tyro parses, but not while the command runs. The ranges of
    its arguments are shown in the help, and added to `ranges`.
    """
    signature = inspect.signature(command)
    shown = {
        name: _with_range(name, hint, ranges) for name, hint in command.__annotations__.items()
    }
    parameters = [
        one.replace(annotation=shown.get(name, one.annotation))
        for name, one in signature.parameters.items()
    ]

    def bind(*values: Any, **options: Any) -> Callable[[], None]:
        check_numbers(command.__annotations__, signature.bind(*values, **options).arguments)
        return lambda: command(*values, **options)

    bind.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    bind.__doc__ = re.sub(r"\n {12,}", " ", command.__doc__ or "")  # tyro breaks lines itself
    bind.__annotations__ = shown
    return bind


def _showing(ranges: dict[str, Range]) -> ConstructorRegistry:
    """What makes tyro show the ranges of the fields of dataclasses, and adds them to `ranges`."""
    registry, asked = ConstructorRegistry(), False

    @registry.struct_rule
    def with_ranges(info: StructTypeInfo) -> StructConstructorSpec | None:
        nonlocal asked
        if asked or not dataclasses.is_dataclass(info.type):
            return None  # the rules of tyro apply
        asked = True
        try:
            plain = ConstructorRegistry.get_struct_spec(info)
        finally:
            asked = False
        if not isinstance(plain, StructConstructorSpec):
            return None
        fields = (
            dataclasses.replace(field, type=_with_range(field.name, field.type, ranges))
            for field in plain.fields
        )
        return dataclasses.replace(plain, fields=tuple(fields))

    return registry


def _with_range(name: str, hint: Any, ranges: dict[str, Range]) -> Any:
    """The annotation, whose range, if it states one, the help shows; it is added to `ranges`."""
    limits = range_of(hint)
    if limits is None:
        return hint
    ranges[name] = limits

    def shown(default: str) -> str:
        if default == "None":
            return f"({limits.brief})"
        return f"({limits.brief}; {f'default: {default}' if default else 'repeatable'})"

    return Annotated[hint, tyro.conf.arg(help_behavior_hint=shown)]


def _one_line(complaint: str, name: str, ranges: Mapping[str, Range]) -> str:
    """The box that tyro prints -> its text above the first rule, and the option it suggests.

    Of an option whose value is no number, the range is told.
    """
    lines = [line.strip("│ ") for line in complaint.splitlines()]
    below_title = [line for line in lines if line][1:]
    is_rule = re.compile("[─-]+").fullmatch  # hyphens if the terminal has no line drawing
    text = takewhile(lambda line: not is_rule(line), dropwhile(is_rule, below_title))
    # Of a number or a word it also tells why it is neither.
    sentence = " ".join(text).partition(" Got errors:")[0].rstrip(".")
    suggested = re.search(r"--[a-z]\w*", complaint.partition("Perhaps you meant")[2])
    hint = f"; perhaps {suggested[0]}" if suggested else ""
    named = re.match(r"(?:Error parsing|Missing value for argument '?)\s*--(\w+)", sentence)
    if named and named[1] in ranges:
        hint = f"; it must be {ranges[named[1]]}"
        if value := re.fullmatch(r"""Error parsing .*?: .*?('.*'|".*")\]?""", sentence):
            sentence, hint = f"{named[1]} is {value[1]}", f", but must be {ranges[named[1]]}"
    return f"{sentence or 'the options cannot be read'}{hint} (sorigeul {name} --help)"
