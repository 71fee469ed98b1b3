"""The files of a language model in a folder: `config.json`, `vocabulary.json`, and weights.

Weights are safetensors, never pickle: a model from a stranger cannot run code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.base.records import build, read_object
from sorigeul.text.vocabulary import Vocabulary

CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "model.safetensors"
FORMAT = "sorigeul-lm/1"

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class LanguageModelDescription:
    """A language model in a folder, without its weights."""

    folder: Path
    kind: str
    settings: dict[str, Any]
    """the settings of its kind"""
    vocabulary: Vocabulary
    facts: dict[str, Any]
    """everything else in `config.json`, such as `heldout_bits_per_character`"""


def write_description(
    folder: Path,
    kind: str,
    settings: Mapping[str, Any],
    vocabulary: Vocabulary,
    facts: Mapping[str, Any],
) -> None:
    """Write `config.json` and `vocabulary.json`."""
    config = {
        "format": FORMAT,
        "kind": kind,
        "vocabulary_hash": vocabulary.hash,
        **facts,
        "model": dict(settings),
    }
    write_text(folder / VOCABULARY, vocabulary.to_json())
    write_text(folder / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def read_description(folder: Path) -> LanguageModelDescription:
    """Read what `write_description` wrote; UserError if it is missing or damaged."""
    missing = [name for name in (CONFIG, VOCABULARY) if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder} holds no finished language model ({', '.join(missing)} missing): train one "
            "with 'sorigeul lm train', or wait for its first evaluation"
        )
    path = folder / CONFIG
    try:
        content = read_object(path)
        own = {field.name for field in fields(_Config)}
        config = build(_Config, {name: content[name] for name in own & content.keys()})
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(
            f"{path} is damaged, or not of a language model ({error}): restore it, or name the "
            "folder of a model made by 'sorigeul lm train'"
        ) from error
    vocabulary = Vocabulary.read(folder / VOCABULARY)
    if vocabulary.hash != config.vocabulary_hash:
        raise UserError(
            f"{folder / VOCABULARY} is not the vocabulary of the model: restore the one it was "
            "trained with"
        )
    facts = {name: value for name, value in content.items() if name not in own}
    return LanguageModelDescription(folder, config.kind, config.model, vocabulary, facts)


@dataclass(frozen=True)
class _Config:
    """What the `config.json` of every language model says."""

    format: str
    kind: str
    vocabulary_hash: str
    model: dict[str, Any]

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")


def build_settings(settings: type[Settings], description: LanguageModelDescription) -> Settings:
    """The settings of a model's kind; UserError if its `config.json` does not hold such."""
    try:
        return build(settings, description.settings)
    except (ValueError, UserError) as error:
        raise UserError(
            f"{description.folder / CONFIG} has settings this version does not know "
            f"({error}): use the version of sorigeul that wrote it"
        ) from error
