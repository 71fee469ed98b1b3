"""What a published model is: its files but the weights, which are read without PyTorch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sorigeul.base.checksums import file_checksum
from sorigeul.base.errors import UserError
from sorigeul.base.hub import find_model_folder
from sorigeul.base.records import build, read_object
from sorigeul.model.config import LASConfig
from sorigeul.pretrained.search_settings import SEARCH, SearchSettings
from sorigeul.search.options import SearchOptions, SearchRequest
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from sorigeul.model.las import ListenAttendSpell

WEIGHTS, CONFIG, VOCABULARY = "model.safetensors", "config.json", "vocabulary.json"
EXPORT = "export.json"
"""the file that tells an export from a run"""
_FORMAT = "sorigeul/1"


@dataclass(frozen=True)
class PretrainedModel:
    """A model with everything that is needed to use it."""

    model: "ListenAttendSpell"
    """without PyTorch, an `OnnxModel` in its place"""
    features: FeatureConfig
    vocabulary: Vocabulary
    normalizer: str
    """name and version of the normaliser that was applied to the transcripts of its training"""
    results: dict[str, str]
    """metrics at the time of publishing, by name"""
    longest_utterance: float | None = None
    """seconds of the longest utterances of its training; None if the model is older than this"""
    unseen_units: int = 0
    """how many units training never had; they are the last ones before the specials"""
    search: SearchSettings = field(default_factory=SearchSettings)
    """what was tuned for the search with it"""

    def search_options(
        self, request: SearchRequest, language_models: Sequence[str] = (), nbest: int = 1
    ) -> SearchOptions:
        """The options that a user asks for, beside language models with these fingerprints."""
        tuned = self.search.find(language_models)
        return request.options(tuned.options if tuned else None, nbest, self.results)


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
    unseen_units: int
    """as in `PretrainedModel`"""

    def complete(self, model: "ListenAttendSpell", results: Mapping[str, str]) -> PretrainedModel:
        """The published model, with what was tuned for it."""
        return PretrainedModel(
            model=model,
            features=self.features,
            vocabulary=self.vocabulary,
            normalizer=self.normalizer,
            results=dict(results),
            longest_utterance=self.longest_utterance,
            unseen_units=self.unseen_units,
            search=SearchSettings.read(self.folder),
        )


def describe_pretrained(source: str | Path) -> ModelDescription:
    """Read the description of a published model, but not its weights.

    `source` is a run folder or the id of a model on the Hugging Face hub. Raises UserError if there
    is no published model, or if its files are damaged or do not belong together.
    """
    return read_description(_find_folder(source))


def read_description(folder: Path) -> ModelDescription:
    """As `describe_pretrained`, of a folder that holds the files of one."""
    config = _read_config(folder / CONFIG)
    vocabulary = Vocabulary.read(folder / VOCABULARY)
    if len(vocabulary) != config.model.vocabulary_size:
        raise UserError(
            f"{folder / VOCABULARY} has {len(vocabulary)} entries, but the model "
            f"{config.model.vocabulary_size}: restore the vocabulary it was trained with"
        )
    if vocabulary.hash != config.vocabulary_hash:
        raise vocabulary_mismatch(folder)
    model, features = config.model, config.features
    if model.n_mels != features.n_mels and not model.is_pretrained:
        raise UserError(
            f"{folder / CONFIG} has features of {features.n_mels} mel bands and a model for "
            f"{model.n_mels}: restore it from the run"
        )
    return ModelDescription(
        folder=folder,
        config=config.model,
        features=config.features,
        vocabulary=vocabulary,
        normalizer=config.normalizer,
        longest_utterance=config.longest_utterance,
        unseen_units=config.unseen_units,
    )


def vocabulary_mismatch(folder: Path) -> UserError:
    """The vocabulary in a folder is not that of its model."""
    return UserError(
        f"{folder / VOCABULARY} is not the vocabulary of {WEIGHTS}: "
        "restore the one it was trained with"
    )


def weights_mismatch(folder: Path) -> UserError:
    """The weights in a folder are not those of its model."""
    return UserError(f"{folder / WEIGHTS} does not fit {CONFIG}: both must come from one run")


def model_checksum(folder: Path) -> str:
    """Checksum of the files that decide what a published model writes, a run's or an export's."""
    names = [CONFIG, VOCABULARY, WEIGHTS, *sorted(path.name for path in folder.glob("*.onnx"))]
    return "".join(file_checksum(folder / name) for name in names if (folder / name).is_file())


def _find_folder(source: str | Path) -> Path:
    """The folder of a published model, downloaded from the hub if necessary."""
    needed = (CONFIG, VOCABULARY, WEIGHTS)
    folder = find_model_folder(source, "a run folder", (*needed, SEARCH, EXPORT))
    if (folder / EXPORT).is_file():
        raise UserError(f"{folder} is an export: give the run that it was made of")
    missing = [name for name in needed if not (folder / name).exists()]
    if missing:
        raise UserError(
            f"{folder} holds no finished model ({', '.join(missing)} missing): "
            "train one with 'sorigeul train', or wait for its first epoch"
        )
    return folder


@dataclass(frozen=True)
class _Config:
    """The content of `config.json`, as `publishing.py` writes it."""

    format: str
    model: LASConfig
    features: FeatureConfig
    normalizer: str
    vocabulary_hash: str
    longest_utterance: float | None = None
    unseen_units: int = 0


def _read_config(path: Path) -> _Config:
    try:
        content = read_object(path)
        if content.get("format") != _FORMAT:
            raise ValueError(f"its format is not {_FORMAT}")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(
            f"{path} is damaged or of another program ({error}): restore it from the run"
        ) from error
    try:
        for name, section in (("model", LASConfig), ("features", FeatureConfig)):
            content[name] = build(section, content.get(name))
        return build(_Config, content)
    except (ValueError, UserError) as error:
        raise UserError(
            f"{path} has settings this version does not know ({error}): use the version of "
            "sorigeul that wrote it, or restore it from the run"
        ) from error
