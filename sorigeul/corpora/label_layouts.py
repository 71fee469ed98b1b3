"""Descriptions of AI Hub's JSON labels: which keys hold what, and what their marks mean.

A description is a YAML file; those of well-known sets come with the package, in `layouts`. Does
not read labels.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sorigeul.base.errors import UserError
from sorigeul.base.yaml_files import parse_yaml, read_yaml

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable  # not there in Python 3.10

_READY = files("sorigeul.corpora") / "layouts"
_SPEAKERS, _UNITS = ("corpus", "label"), ("seconds", "milliseconds")
_DUAL = ("spelling first", "pronunciation first")
_WRITTEN = re.compile(r"[0-9A-Za-z%]")
_DUAL_TRANSCRIPTION = re.compile(r"\(([^()]*)\)\s*/\s*\(([^()]*)\)")

Keys = tuple[str, ...]
"""names of keys, each after the key that holds it: ``발화정보.stt``. A number counts the entries of
a list from 0; a path that begins with a slash begins at the top of the file. Of several, the first
that has a value counts"""


class HiddenWordsError(ValueError):
    """A transcript that leaves out what is said."""


@dataclass(frozen=True)
class LabelLayout:
    """A description of labels. Raises UserError for values that make no sense."""

    name: str
    """of the file, without its extension"""
    about: str = ""
    """which sets of AI Hub have such labels"""
    source: str = ""
    """where that is known from"""
    unverified: str = ""
    """what is not known, and has to be looked at"""
    utterances: str = ""
    """the list of utterances, as a path of keys; empty: a file is one utterance, or a list of them.
    The keys below are those of an utterance"""
    audio: Keys = ()
    """file name or path of the recording; empty: it has the name of the label"""
    text: Keys = ()
    """the transcript"""
    text_file: Keys = ()
    """name or path of the file that is the transcript; where a label has none, ``text`` counts"""
    id: Keys = ()
    """what tells the utterances of a recording apart; empty: their number"""
    speaker: Keys = ()
    """empty: speakers are not named"""
    speakers: Literal["corpus", "label"] = "corpus"
    """where a name means the same speaker: in the whole corpus, or in one label only"""
    start: Keys = ()
    """when an utterance begins in its recording; empty: it is the whole recording"""
    end: Keys = ()
    """when it ends"""
    times: Literal["seconds", "milliseconds"] = "seconds"
    """unit of both, unless they are written as 00:01:02.3"""
    dual: str = ""
    """``spelling first`` or ``pronunciation first``: the texts follow ETRI's rules, and the sides
    of a dual transcription are in this order; empty: they do not follow these rules"""
    removed: tuple[str, ...] = ()
    """regular expressions of marks that are no text: sounds, noise"""
    unwrapped: tuple[str, ...] = ()
    """regular expressions of marks around words; the first group is the words"""
    refused: tuple[str, ...] = ()
    """regular expressions of marks in place of what is said, such as of a name left out: the
    utterance is rejected"""

    def __post_init__(self) -> None:
        """Check the values."""
        if not self.text and not self.text_file:
            raise UserError(f"{self.name}: neither text nor text_file says what holds the text")
        if bool(self.start) != bool(self.end):
            raise UserError(f"{self.name}: start and end go together, and one of them is missing")
        for field, choices in (("speakers", _SPEAKERS), ("times", _UNITS), ("dual", ("", *_DUAL))):
            if (value := getattr(self, field)) not in choices:
                allowed = " or ".join(choice for choice in choices if choice)
                raise UserError(f"{self.name}: {field} is {value!r}, but may be {allowed}")
        for field in ("removed", "unwrapped", "refused"):
            for pattern in getattr(self, field):
                self._check_pattern(field, pattern)

    def _check_pattern(self, field: str, pattern: str) -> None:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise UserError(
                f"{self.name}: {field}: {pattern} is no regular expression ({error})"
            ) from error
        if field == "unwrapped" and groups != 1:
            raise UserError(
                f"{self.name}: unwrapped: {pattern} has {groups} groups; put brackets around the "
                "words that stay, and (?:...) around others"
            )

    def without_marks(self, text: str) -> str:
        """Return a transcript without the marks of the description; dual ones: spelling first.

        Where only one side of a dual transcription has digits or Latin letters, that is the
        spelling, whatever the description says. Raises HiddenWordsError for a refused mark.
        """
        for pattern in self.refused:
            if mark := re.search(pattern, text):
                raise HiddenWordsError(mark.group().strip())
        for pattern in self.removed:
            text = re.sub(pattern, " ", text)
        for pattern in self.unwrapped:
            text = re.sub(pattern, r"\1", text)
        if self.dual:
            text = _DUAL_TRANSCRIPTION.sub(self._spelling_first(), text)
        return text

    def _spelling_first(self) -> Callable[[re.Match[str]], str]:
        def ordered(dual: re.Match[str]) -> str:
            first, second = dual.groups()
            swap = self.dual == "pronunciation first"
            if bool(_WRITTEN.search(first)) != bool(_WRITTEN.search(second)):
                swap = bool(_WRITTEN.search(second))
            return f"({second})/({first})" if swap else f"({first})/({second})"

        return ordered


def ready_layouts() -> list[str]:
    """The names of the descriptions that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _READY.iterdir() if _is_yaml(entry))


def _is_yaml(entry: "Traversable") -> bool:
    return entry.name.endswith(".yaml")


@lru_cache(maxsize=32)
def find_layout(name: str) -> LabelLayout:
    """Return the description of this name, or in this file. Raises UserError if there is none."""
    ready = ready_layouts()
    if name in ready:
        text = (_READY / f"{name}.yaml").read_text(encoding="utf-8")
        return _layout(parse_yaml(text, name), name)
    choices = ", ".join(f"{other} ({find_layout(other).about})" for other in ready)
    if not name:
        raise UserError(f"layout: say which labels these are: a .yaml file, or one of {choices}")
    path = Path(name)
    if path.suffix.lower() not in (".yaml", ".yml") or not path.exists():
        raise UserError(f"layout {name}: no such file; give a .yaml file, or one of {choices}")
    values, _ = read_yaml(path, "description of labels")
    return _layout(values, name)


def _layout(values: dict[Any, Any], name: str) -> LabelLayout:
    known = [field.name for field in fields(LabelLayout) if field.name != "name"]
    if unknown := [str(key) for key in values if key not in known]:
        raise UserError(f"{name}: unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    checked: dict[str, Any] = {key: _value(name, key, values[key]) for key in values}
    return LabelLayout(name, **checked)


def _value(name: str, key: str, value: Any) -> str | tuple[str, ...]:
    """A value of a description; a list where the field is one."""
    is_text = isinstance(getattr(LabelLayout, key), str)
    entries = value if isinstance(value, list) and not is_text else [value]
    if not all(isinstance(entry, str) for entry in entries):
        raise UserError(
            f"{name}: {key} is {value!r}; give a text{'' if is_text else ', or a list of texts'}"
        )
    return " ".join(entries[0].split()) if is_text else tuple(entries)
