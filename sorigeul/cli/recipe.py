"""The command `sorigeul recipe`: its options. It imports what it needs when it runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional, UseAppendAction

from sorigeul.base.errors import UserError
from sorigeul.base.printable import LAYOUT, printable
from sorigeul.cli.arguments import parse_and_run, positional
from sorigeul.cli.options import flattened


def recipe(arguments: Sequence[str]) -> None:
    """From a corpus to its figures: prepare, train, tune, evaluate; goes on where it stopped."""
    from sorigeul.recipes.recipe import Recipe, recipes
    from sorigeul.recipes.steps import follow

    known = [(name, Recipe.load(name)) for name in recipes()]
    names = "; ".join(f"{name} ({', '.join(one.corpora)})" for name, one in known)

    # The command is defined here, since its help lists the recipes.
    def command(
        name: Annotated[Positional[str], positional("NAME")],
        places: Annotated[Positional[tuple[Path, ...]], positional("CORPUS… OUT")] = (),
        texts: Annotated[
            tuple[tuple[Path, ...], ...], tyro.conf.arg(metavar="TEXT …"), UseAppendAction
        ] = (),
        show: bool = False,
    ) -> None:
        chosen = Recipe.load(name)
        if show:
            print(printable(chosen.text.rstrip(), LAYOUT))
            return
        wanted = [f"CORPUS ({what})" for what in chosen.corpora]
        if len(places) != len(wanted) + 1:
            raise UserError(
                f"recipe {name} needs {', '.join([*wanted, 'OUT'])}, in this order: give these "
                f"{len(wanted) + 1} places, not {len(places)}"
            )
        *corpora, out = places
        follow(chosen, corpora, flattened(texts), out)

    command.__doc__ = f"""{recipe.__doc__}

    Args:
        name: {names}; or a YAML file, such as a copy of OUT/recipe.yaml with other settings
        places: the corpora that the recipe needs, then the folder for all that it makes
        texts: text files, or folders of them, for the language model, beside the transcripts
        show: print the recipe, and do nothing
    """
    parse_and_run(command, "recipe", arguments)
