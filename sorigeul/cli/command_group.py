"""Commands of two words, such as `sorigeul lm train`: which there are, and which is meant."""

import difflib
from collections.abc import Callable, Mapping, Sequence

from sorigeul.base.errors import UserError


def choose_command(
    group: str, title: str, commands: Mapping[str, Callable[..., None]], arguments: Sequence[str]
) -> tuple[str, Sequence[str]] | None:
    """The name of the command that `arguments` begin with, and the others of them.

    None if they ask for help, which is then printed. Raises UserError if there is no such command.
    """
    if not arguments or arguments[0] in ("--help", "-h"):
        print(_overview(group, title, commands))
        return None
    name, *rest = arguments
    if name not in commands:
        similar = difflib.get_close_matches(name, commands, 1)
        hint = f"perhaps {group} {similar[0]}" if similar else f"there are {', '.join(commands)}"
        raise UserError(f"'{group} {name}' is no command; {hint}")
    return name, rest


def _overview(group: str, title: str, commands: Mapping[str, Callable[..., None]]) -> str:
    summaries = {name: command.__doc__ or "" for name, command in commands.items()}
    lines = [f"  {name:<8}{text.splitlines()[0]}" for name, text in summaries.items()]
    return (
        f"usage: sorigeul {group} COMMAND …\n\n{title}.\n\n"
        + "\n".join(lines)
        + f"\n\n'sorigeul {group} COMMAND --help' explains a command."
    )
