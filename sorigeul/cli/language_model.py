"""The commands `sorigeul lm train`, `lm score` and `lm sample`: their options, what they print.

They import what they need when they run, so that `sorigeul --help` does not wait for torch.
"""

import argparse
import contextlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import Positional, UseAppendAction

from sorigeul.base.errors import UserError
from sorigeul.base.printable import printable
from sorigeul.base.ranges import SEED, TEMPERATURE, Range
from sorigeul.cli.arguments import parse_and_run, positional, positionals
from sorigeul.cli.command_group import choose_command
from sorigeul.cli.options import File, flattened

if TYPE_CHECKING:
    from sorigeul.lm.perplexity import LineScore

_Model = Annotated[Positional[str], positional("LM")]


def language_model(arguments: Sequence[str]) -> None:
    """Language models of characters: lm train, lm score, lm sample."""
    chosen = choose_command("lm", "Language models of characters", _COMMANDS, arguments)
    if chosen is not None:
        name, rest = chosen
        _COMMANDS[name](rest)


def train(arguments: Sequence[str]) -> None:
    """Train a language model on text; an unfinished training goes on where it stopped."""
    # The command is defined here, since its defaults come from a preset, a file or the run itself.
    from sorigeul.base.memory import keep_freed_memory

    keep_freed_memory()  # before PyTorch is loaded
    from sorigeul.base import provenance
    from sorigeul.training.language_model_settings import (
        DEFAULT_PRESET,
        PRESETS,
        LanguageModelSettings,
    )

    start = LanguageModelSettings.starting_point(*_settings_origin(arguments))

    def command(
        places: Annotated[Positional[tuple[Path, ...]], positional("TEXT… LM")] = (),
        vocabulary: Annotated[str, tyro.conf.arg(metavar="RUN|DATA|FILE")] = "",
        exclude: Annotated[
            tuple[tuple[Path, ...], ...], tyro.conf.arg(metavar="DATA …"), UseAppendAction
        ] = (),
        preset: str = DEFAULT_PRESET,
        config: File = None,
        restart: bool = False,
        settings: Annotated[
            LanguageModelSettings, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff
        ] = start,
    ) -> None:
        from sorigeul.training.language_model import train_language_model

        del preset, config  # in `settings` already
        if len(places) < 2:
            raise UserError(
                "Missing from sorigeul lm train: TEXT… and LM (sorigeul lm train --help)"
            )
        *sources, folder = places
        command_line = provenance.command_line(["sorigeul", "lm", "train", *arguments])
        train_language_model(
            sources, folder, vocabulary, flattened(exclude), settings, command_line, restart
        )

    command.__doc__ = f"""{train.__doc__}

    Args:
        places: text files, folders of them, or corpora made by 'sorigeul prepare'; then the folder
            for the language model
        vocabulary: whose characters the model writes: the recogniser it is meant for (a run
            folder, or Hugging Face id), a prepared corpus, or a file vocabulary.json or
            id,char,freq. A training that goes on may leave it out
        exclude: prepared corpora whose dev and test transcripts are kept out of the text
        preset: settings to start from: {", ".join(PRESETS)}
        config: YAML file of settings to start from, such as the config.yaml of a language model
        restart: begin again from step 0; what LM holds is kept in LM/earlier-1
    """
    parse_and_run(command, "lm train", arguments)


def _settings_origin(arguments: Sequence[str]) -> tuple[str | None, Path | None, Path | None]:
    """Preset, file of settings and folder of the model, before the other options are parsed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--preset")
    parser.add_argument("--exclude", nargs="*")
    parser.add_argument("--restart", action="store_true")  # takes no value, unlike all others
    with contextlib.redirect_stderr(io.StringIO()):  # tyro reports the same error better, later
        try:
            known, rest = parser.parse_known_args(list(arguments))
        except SystemExit:
            return None, None, None
    if known.config and known.preset:
        raise UserError("--config and --preset exclude each other: each says where to start from")
    places = positionals(rest)
    return known.preset, known.config, Path(places[-1]) if len(places) > 1 else None


def score(arguments: Sequence[str]) -> None:
    """Print how well a language model predicts a text: bits a character and perplexity."""

    def command(
        lm: _Model,
        file: Annotated[Positional[Path], positional("FILE")],
        per_line: bool = False,
    ) -> None:
        from sorigeul.lm.loading import load_language_model
        from sorigeul.lm.perplexity import score_file

        model = load_language_model(lm)
        result = score_file(model, file, print_line if per_line else None)
        print(f"bits a character: {result.bits_per_character:.4f}")
        print(f"perplexity: {result.perplexity:.3f}")
        print(f"characters: {result.characters}")
        print(f"unknown characters: {result.unknown}")

    def print_line(line: "LineScore") -> None:
        print(f"{line.log_probability:.4f}\t{printable(line.text)}")

    command.__doc__ = f"""{score.__doc__}

    The end of each line counts as a character. Characters that the model does not know do not
    count, but are read.

    Args:
        lm: folder of a language model, or Hugging Face id
        file: text file, a text a line
        per_line: print the natural log-probability of each line before it
    """
    parse_and_run(command, "lm score", arguments)


def sample(arguments: Sequence[str]) -> None:
    """Print lines that a language model writes."""

    def command(
        lm: _Model,
        lines: Annotated[int, Range(1, 100_000)] = 10,
        start: str = "",
        temperature: Annotated[float, TEMPERATURE] = 1.0,
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        from sorigeul.lm.loading import load_language_model
        from sorigeul.lm.sampling import sample_lines

        for line in sample_lines(load_language_model(lm), lines, start, temperature, seed):
            print(printable(line))

    command.__doc__ = f"""{sample.__doc__}

    Args:
        lm: folder of a language model, or Hugging Face id
        lines: how many lines
        start: how each line begins
        temperature: below 1 the lines are more likely ones, above 1 less likely ones
        seed: seed of the draws: the same seed gives the same lines
    """
    parse_and_run(command, "lm sample", arguments)


_COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "score": score,
    "sample": sample,
}
