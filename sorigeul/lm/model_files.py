"""The files of a language model in a folder: `config.json`, `vocabulary.json`, and weights.

Weights are safetensors, never pickle: a model from a stranger cannot run code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.text.vocabulary import Vocabulary

CONFIG, VOCABULARY, WEIGHTS = "config.json", "vocabulary.json", "model.safetensors"
FORMAT = "sorigeul-lm/1"


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
        config = json.loads(path.read_text(encoding="utf-8"))
        valid = config["format"] == FORMAT and isinstance(config["model"], dict)
        kind, vocabulary_hash = config["kind"], config["vocabulary_hash"]
    except (ValueError, KeyError, TypeError):
        valid = False
    if not valid:
        raise UserError(
            f"{path} is damaged, or not of a language model: restore it, or name the folder of a "
            "model made by 'sorigeul lm train'"
        )
    # Invalid bytes may be replaced, since `from_json` compares the hash and refuses the result.
    vocabulary_json = (folder / VOCABULARY).read_text(encoding="utf-8", errors="replace")
    vocabulary = Vocabulary.from_json(vocabulary_json, str(folder / VOCABULARY))
    if vocabulary.hash != vocabulary_hash:
        raise UserError(
            f"{folder / VOCABULARY} is not the vocabulary of the model: restore the one it was "
            "trained with"
        )
    own = ("format", "kind", "vocabulary_hash", "model")
    facts = {name: value for name, value in config.items() if name not in own}
    return LanguageModelDescription(folder, kind, config["model"], vocabulary, facts)


def read_weights(folder: Path, expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a network.

    Raises UserError if they are missing or damaged, or not of the names and shapes of `expected`.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise UserError(f"{path} is missing: copy the whole folder of the model")
    try:
        weights: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}): copy it again") from error
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    if shapes != {name: tensor.shape for name, tensor in expected.items()}:
        raise UserError(f"{path} does not fit {CONFIG}: both must come from one training")
    return weights
