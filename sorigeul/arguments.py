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
from typing import Any

import tyro

from sorigeul.errors import UserError


def place(name: str) -> Any:
    """An argument that the usage line calls by `name`. None has a default worth telling."""
    return tyro.conf.arg(metavar=name, help_behavior_hint="")


def places(arguments: Sequence[str]) -> list[str]:
    """The arguments that are neither options nor the one value that each option takes."""
    places, others = [], iter(arguments)
    for argument in others:
        if not argument.startswith("-"):
            places.append(argument)
        elif "=" not in argument:
            next(others, None)
    return places


def starting_point(arguments: Sequence[str], preset: str) -> Any:
    """The settings that the options change: those of --config, of the run, or of a preset.

    Where a model is fine-tuned, its shape and features take the place of the preset's.
    """
    from sorigeul.settings import Settings

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--init_from", "--init-from")
    with contextlib.redirect_stderr(io.StringIO()):  # tyro says it better, just after
        try:
            known, rest = parser.parse_known_args(list(arguments))
        except SystemExit:
            return Settings()
    if known.config and known.preset:
        raise UserError("--config and --preset exclude each other: each says where to start from")
    given = places(rest)
    folder = Path(given[1]) if len(given) > 1 else None
    if folder and (folder / "config.yaml").is_file() and not (known.config or known.preset):
        return Settings.from_yaml(folder / "config.yaml")
    if known.config is None:
        start = Settings.preset(known.preset or preset)
        return _as_the_model(start, known.init_from, folder) if known.init_from else start
    start = Settings.from_yaml(known.config)
    if model := known.init_from or start.training.init_from:
        # The file may leave the shape to the model, or contradict it, which is refused later.
        return Settings.from_yaml(known.config, _as_the_model(Settings(), model, folder))
    return start


def _as_the_model(settings: Any, model: str, folder: Path | None) -> Any:
    """The settings with shape and features of `model`, or of what a run made of it already."""
    from sorigeul import checkpoint
    from sorigeul.finetune import adopted
    from sorigeul.settings import Settings

    if folder and checkpoint.begun(folder):  # and the model may be gone
        own = Settings.from_yaml(folder / "config.yaml")
        return adopted(settings, own.features, own.model, own.training.vocabulary)
    found = checkpoint.load(model)
    return adopted(settings, found.features, found.model.config, found.vocabulary.kind)


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
                _deferred(command), prog=f"sorigeul {name}", args=list(arguments),
                use_underscores=True,
                config=(truth, tyro.conf.OmitArgPrefixes),
            )  # fmt: skip
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
