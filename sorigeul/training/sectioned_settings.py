"""Settings in sections: every name is used once, on the command line and in YAML."""

import difflib
import reprlib
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from sorigeul.base.errors import UserError
from sorigeul.base.yaml_files import read_yaml

Self = TypeVar("Self", bound="SectionedSettings")


@dataclass(frozen=True)
class SectionedSettings:
    """Base class of settings whose fields are dataclasses, the sections. Names are used once."""

    command: ClassVar[str]
    """the command whose `--help` lists the settings"""
    derived: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """section -> names that follow from other settings or from data, and cannot be set"""

    @classmethod
    def sections(cls) -> dict[str, dict[str, Any]]:
        """Section -> names of its settings -> their types."""
        return {
            section.name: {
                name: type_
                for name, type_ in get_type_hints(section.type).items()
                if name not in cls.derived.get(section.name, ())
            }
            for section in fields(cls)
            if isinstance(section.type, type)
        }

    def flat(self) -> dict[str, Any]:
        """All settings by name."""
        values: dict[str, Any] = {}
        for section, names in self.sections().items():
            config = getattr(self, section)
            values.update({name: getattr(config, name) for name in names})
        return values

    def changed(self: Self, changes: Mapping[str, Any], origin: str) -> Self:
        """These settings with some of them replaced, by name.

        Raises UserError for a name or value that is not valid; the message begins with `origin`,
        which is where the changes come from.
        """
        sections = self.sections()
        section_of = {name: section for section, names in sections.items() for name in names}
        changed: dict[str, dict[str, Any]] = {section: {} for section in sections}
        for name, value in changes.items():
            if name not in section_of:
                similar = difflib.get_close_matches(str(name), section_of, 1)  # YAML keys may be 7
                hint = f"perhaps {similar[0]}" if similar else f"'{self.command} --help' lists them"
                raise UserError(f"{origin}: '{str(name)[:50]}' is no setting; {hint}")
            section = section_of[name]
            changed[section][name] = _convert(name, value, sections[section][name], origin)
        return replace(
            self,
            **{
                section: replace(getattr(self, section), **values)
                for section, values in changed.items()
                if values
            },
        )

    def to_yaml(self) -> str:
        """All settings as YAML, one paragraph for each section."""
        values = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self.flat().items()
        }
        paragraphs = [
            f"# {section}\n"
            + yaml.safe_dump(
                {name: values[name] for name in names}, sort_keys=False, allow_unicode=True
            )
            for section, names in self.sections().items()
        ]
        return "\n".join(paragraphs)

    @classmethod
    def from_yaml(cls: type[Self], path: Path, base: Self | None = None) -> Self:
        """The settings in a YAML file; those it leaves out come from `base`, or are defaults.

        Raises UserError if the file cannot be read or is not valid.
        """
        values, _ = read_yaml(path, "file of settings")
        return (base or cls()).changed(values, str(path))


def _convert(name: str, value: Any, type_: Any, origin: str) -> Any:
    """The value in the setting's type: YAML reads 1e-4 as text and 10 as an int."""
    if get_origin(type_) is tuple:
        if not isinstance(value, list | tuple):
            raise UserError(f"{origin}: {name} is {reprlib.repr(value)}, but must be a list")
        item_type = get_args(type_)[0]
        return tuple(_convert(name, item, item_type, origin) for item in value)
    if get_origin(type_) is Literal:
        if value in get_args(type_):
            return value
        choices = ", ".join(map(str, get_args(type_)))
        raise UserError(f"{origin}: {name} is {reprlib.repr(value)}, but must be one of {choices}")
    alternative = ""
    if get_origin(type_) in (Union, types.UnionType):  # a number, or a word in its place
        type_, words = get_args(type_)
        if value in get_args(words):
            return value
        alternative = " or " + " or ".join(get_args(words))
    try:
        if isinstance(value, bool) != (type_ is bool) or (type_ is str and type(value) is not str):
            raise ValueError
        if type_ is int and int(value) != value:
            raise ValueError
        return type_(value)
    except (TypeError, ValueError, OverflowError):
        kinds = {bool: "True or False", int: "a whole number", float: "a number"}
        kind = kinds.get(type_, "text")
        raise UserError(
            f"{origin}: {name} is {reprlib.repr(value)}, but must be {kind}{alternative}"
        ) from None
