"""Recipes: the commands that lead from a corpus to its figures, in a YAML file.

They are written as users type them, so that whoever wants another setting copies the file and
changes it.
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sorigeul.base.errors import UserError
from sorigeul.base.yaml_files import read_yaml

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable  # not there in Python 3.10

_KEYS = ("corpora", "steps", "figures")
_BRACES = re.compile(r"\{(\w+)\}|\{[^{}]*\}?|\}")


@dataclass(frozen=True)
class Recipe:
    """The commands that lead from corpora to figures."""

    name: str
    about: str
    """what its file says first"""
    text: str
    """its file"""
    corpora: tuple[str, ...]
    """what is given for each of them"""
    steps: Mapping[str, str]
    """commands by name, in their order, with {corpus}, {corpus2} …, {texts} and {out} in them"""
    figures: Mapping[str, str]
    """files that `evaluate --json` writes, by the name of what was judged"""

    @classmethod
    def load(cls, name: str) -> "Recipe":
        """One that comes with the package, by its name, or that of a YAML file.

        Raises UserError if there is none of this name, or if the file is no recipe.
        """
        if name in recipes():
            with resources.as_file(_folder() / f"{name}.yaml") as path:
                return cls.read(name, path)
        if Path(name).suffix not in (".yaml", ".yml"):
            raise UserError(
                f"'{name}' is no recipe; there are {', '.join(recipes())}, or give a YAML file"
            )
        return cls.read(name, Path(name))

    @classmethod
    def read(cls, name: str, path: Path) -> "Recipe":
        """The recipe in a file."""
        content, text = read_yaml(path, "recipe")
        if set(content) != set(_KEYS):
            raise UserError(f"{path}: no recipe, which has {', '.join(_KEYS)}, and nothing else")
        corpora, steps, figures = (content[key] for key in _KEYS)
        if not (isinstance(corpora, list) and all(isinstance(one, str) for one in corpora)):
            raise UserError(f"{path}: corpora must be a list that says what is to be given")
        for key, value in (("steps", steps), ("figures", figures)):
            words = isinstance(value, dict) and all(
                isinstance(word, str) for item in value.items() for word in item
            )
            if not words:
                raise UserError(f"{path}: {key} must be lines of a name and a text")
        comments = [line[2:] for line in text.splitlines() if line.startswith("# ")]
        recipe = cls(name, " ".join(comments), text, tuple(corpora), steps, figures)
        recipe.commands([Path("CORPUS")] * len(corpora), (), Path("OUT"))  # or say what is wrong
        recipe.figure_files(Path("OUT"))
        return recipe

    def commands(
        self, corpora: Sequence[Path], texts: Sequence[Path], out: Path
    ) -> dict[str, list[str]]:
        """The arguments of each step's command, by its name."""
        values = {f"corpus{number}": str(corpus) for number, corpus in enumerate(corpora, 1)}
        values["out"] = str(out)
        if corpora:
            values["corpus"] = str(corpora[0])
        return {
            step: list(self._arguments(step, command, values, list(map(str, texts))))
            for step, command in self.steps.items()
        }

    def figure_files(self, out: Path) -> dict[str, Path]:
        """The file of figures by the name of what was judged."""
        return {
            name: Path(self._filled(f"figure {name}", place, {"out": str(out)}))
            for name, place in self.figures.items()
        }

    def _arguments(
        self, step: str, command: str, values: Mapping[str, str], texts: list[str]
    ) -> Iterator[str]:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UserError(f"{self.name}, step {step}: {error} in its command") from error
        for word in words:
            if word == "{texts}":
                yield from texts
            else:
                yield self._filled(f"step {step}", word, values, "{texts} as a word of its own")

    def _filled(self, place: str, text: str, values: Mapping[str, str], *others: str) -> str:
        """The text with the values for their names in braces; UserError for all other braces."""

        def value(braces: re.Match[str]) -> str:
            if braces[1] in values:
                return values[braces[1]]
            allowed = ", ".join([*(f"{{{name}}}" for name in values), *others])
            raise UserError(f"{self.name}, {place}: {braces[0]} in '{text}'; it may have {allowed}")

        return _BRACES.sub(value, text)


def recipes() -> list[str]:
    """The names of the recipes that come with the package."""
    names = (Path(item.name) for item in _folder().iterdir())
    return sorted(name.stem for name in names if name.suffix == ".yaml")


def _folder() -> "Traversable":
    return resources.files("sorigeul.recipes") / "corpora"
