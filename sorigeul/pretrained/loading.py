"""Loading a published model from a run folder or from the Hugging Face hub.

A published model is three files, which `publishing.py` writes: weights, configuration and
vocabulary. They are never read through pickle, so a model from a stranger cannot run code.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from sorigeul.base.errors import UserError
from sorigeul.base.hub import find_model_folder
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.search_settings import SEARCH, SearchSettings
from sorigeul.sound.features import FeatureConfig
from sorigeul.text.vocabulary import Vocabulary

WEIGHTS, CONFIG, VOCABULARY = "model.safetensors", "config.json", "vocabulary.json"

_Config = TypeVar("_Config", FeatureConfig, LASConfig)


@dataclass(frozen=True)
class PretrainedModel:
    """A model with everything that is needed to use it."""

    model: ListenAttendSpell
    features: FeatureConfig
    vocabulary: Vocabulary
    normalizer: str
    """name and version of the normaliser that was applied to the transcripts of its training"""
    results: dict[str, str]
    """metrics at the time of publishing, by name"""
    longest_utterance: float | None = None
    """seconds of the longest utterances of its training; None if the model is older than this"""
    search: SearchSettings = field(default_factory=SearchSettings)
    """what was tuned for the search with it"""


@dataclass(frozen=True)
class ModelDescription:
    """A published model without its weights."""

    folder: Path
    config: LASConfig
    features: FeatureConfig
    vocabulary: Vocabulary
    normalizer: str
    """as in `PretrainedModel`"""
    longest_utterance: float | None
    """as in `PretrainedModel`"""


def describe_pretrained(source: str | Path) -> ModelDescription:
    """Read the description of a published model, but not its weights.

    `source` is a run folder or the id of a model on the Hugging Face hub. Raises UserError if there
    is no published model, or if its files are damaged or do not belong together.
    """
    folder = _find_folder(source)
    config = _read_config(folder / CONFIG)
    # Invalid bytes may be replaced, since `from_json` compares the hash and refuses the result.
    vocabulary_json = (folder / VOCABULARY).read_text(encoding="utf-8", errors="replace")
    vocabulary = Vocabulary.from_json(vocabulary_json, str(folder / VOCABULARY))
    model_config = _build_config(LASConfig, config["model"], folder)
    if len(vocabulary) != model_config.vocabulary_size:
        raise UserError(
            f"{folder / VOCABULARY} has {len(vocabulary)} entries, but the model "
            f"{model_config.vocabulary_size}: restore the vocabulary it was trained with"
        )
    if vocabulary.hash != config["vocabulary_hash"]:
        raise _vocabulary_mismatch(folder)
    features = _build_config(FeatureConfig, config["features"], folder)
    return ModelDescription(
        folder=folder,
        config=model_config,
        features=features,
        vocabulary=vocabulary,
        normalizer=config["normalizer"],
        longest_utterance=config.get("longest_utterance"),
    )


def load_pretrained(source: str | Path, device: torch.device | str = "cpu") -> PretrainedModel:
    """Load a published model, in evaluation mode.

    `source` is a run folder or the id of a model on the Hugging Face hub. Raises UserError as
    `describe_pretrained` does, and if the weights are damaged or do not fit the configuration.
    """
    description = describe_pretrained(source)
    folder, vocabulary = description.folder, description.vocabulary
    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            results = dict(file.metadata() or {})
        weights = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{folder / WEIGHTS} is damaged ({error}): copy it again") from error
    if results.pop("vocabulary_hash", None) != vocabulary.hash:
        raise _vocabulary_mismatch(folder)
    model = ListenAttendSpell(description.config)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"{folder / WEIGHTS} does not fit {CONFIG}: both must come from one run"
        ) from error
    model.to(device).eval()
    return PretrainedModel(
        model=model,
        features=description.features,
        vocabulary=vocabulary,
        normalizer=description.normalizer,
        results=results,
        longest_utterance=description.longest_utterance,
        search=SearchSettings.read(folder),
    )


def _vocabulary_mismatch(folder: Path) -> UserError:
    return UserError(
        f"{folder / VOCABULARY} is not the vocabulary of {WEIGHTS}: "
        "restore the one it was trained with"
    )


def _find_folder(source: str | Path) -> Path:
    """The folder of a published model, downloaded from the hub if necessary."""
    needed = (CONFIG, VOCABULARY, WEIGHTS)
    folder = find_model_folder(source, "a run folder", (*needed, SEARCH))
    missing = [name for name in needed if not (folder / name).exists()]
    if missing:
        raise UserError(
            f"{folder} holds no finished model ({', '.join(missing)} missing): "
            "train one with 'sorigeul train', or wait for its first epoch"
        )
    return folder


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        valid = isinstance(config, dict) and config["format"] == "sorigeul/1"
        valid = valid and {"model", "features", "normalizer", "vocabulary_hash"} <= config.keys()
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError):
        valid = False
    if not valid:
        raise UserError(f"{path} is damaged or of another program: restore it from the run")
    return dict(config)


def _build_config(config_class: type[_Config], values: dict[str, Any], folder: Path) -> _Config:
    try:
        return config_class(**values)
    except TypeError as error:
        raise UserError(
            f"{folder / CONFIG} has settings this version does not know ({error}): "
            "use the version of sorigeul that wrote it"
        ) from error
