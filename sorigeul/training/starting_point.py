"""What a run starts from: settings, characters, and the weights of a model if there is one.

Also what a run that goes on must keep, and which parts of a model stay as they are. Knows nothing
of batches or of how a model learns.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

from sorigeul.base.errors import UserError
from sorigeul.model.config import LASConfig
from sorigeul.pretrained.loading import PretrainedModel, describe_pretrained, load_pretrained
from sorigeul.sound.features import FeatureConfig
from sorigeul.text.vocabulary import Kind, Vocabulary
from sorigeul.training import checkpoints
from sorigeul.training.finetuning import log
from sorigeul.training.settings import RUN_CONFIG, Settings

# All else in a model's configuration is its shape. The bands follow from the features.
_NOT_SHAPE = {
    "dropout",
    "ctc_weight",
    "guide_weight",
    "share_letters",
    "n_mels",
    "vocabulary_size",
}
_SHAPE = [field.name for field in fields(LASConfig) if field.name not in _NOT_SHAPE]
_FEATURES = [field.name for field in fields(FeatureConfig)]


# Settings.


def starting_point(
    preset: str | None, config: Path | None, init_from: str | None, run: Path | None, default: str
) -> Settings:
    """The settings that the options change: those of a file, of the run, or of a preset.

    Where a model is fine-tuned, its shape and features take the place of the preset's. The file may
    leave them to the model, or contradict it, which is refused when the run starts.
    """
    if config is not None:
        start = Settings.from_yaml(config)
        source = init_from or start.training.init_from
        if source:
            return Settings.from_yaml(config, _with_model_shape(Settings(), source, run))
        return start
    if run and (run / RUN_CONFIG).is_file() and not preset:
        return Settings.of_run(run)
    start = Settings.preset(preset or default)
    return _with_model_shape(start, init_from, run) if init_from else start


def _with_model_shape(settings: Settings, source: str, run: Path | None) -> Settings:
    """The settings with shape and features of a model, or of what a run made of it already."""
    if run and checkpoints.has_checkpoint(run):  # and the model may be gone
        own = Settings.of_run(run)
        return adopt_model(settings, own.features, own.model, own.training.vocabulary)
    model = describe_pretrained(source)
    return adopt_model(settings, model.features, model.config, model.vocabulary.kind)


def adopt_model(
    settings: Settings, features: FeatureConfig, model: LASConfig, vocabulary: str
) -> Settings:
    """`settings` with the features, the shape and the kind of characters of another model.

    What those exclude is switched off: CTC where that model hears backwards, its guide where it has
    no attention, shared letters where it writes letters.
    """
    shape = {name: getattr(model, name) for name in _SHAPE}
    if features.input_reverse:
        shape["ctc_weight"] = 0.0
    if features.input_reverse or not model.use_attention:
        shape["guide_weight"] = 0.0
    if vocabulary == "jamo":
        shape["share_letters"] = False
    return replace(
        settings,
        features=features,
        model=replace(settings.model, **shape),
        training=replace(settings.training, vocabulary=vocabulary),
    )


# A run that begins, and one that goes on.


def start_vocabulary(
    settings: Settings, characters: Mapping[str, int]
) -> tuple[Vocabulary, PretrainedModel | None]:
    """The vocabulary of a run that begins, and the model it begins from, if there is one.

    The model's own units keep their ids, and those of the new corpus follow, so that nothing known
    is forgotten. Raises UserError where the settings contradict the model.
    """
    built = _vocabulary(settings, characters)
    if not settings.training.init_from:
        return built, None
    pretrained = load_pretrained(settings.training.init_from)
    _refuse_other_shape(settings, pretrained)
    return pretrained.vocabulary.extended(built), pretrained


def resume_vocabulary(
    folder: Path, settings: Settings, characters: Mapping[str, int]
) -> Vocabulary:
    """The vocabulary of a run that goes on.

    Raises UserError where the model, its features or whether it began from another one would be
    otherwise than when the run was begun.
    """
    kept = checkpoints.load_vocabulary(folder)
    if bool(settings.training.init_from) != (kept is not None):
        raise UserError(
            f"{folder} was begun {'with' if kept else 'without'} init_from: leave that as it "
            "was, or train into a new folder"
        )
    begun, now = Settings.of_run(folder).flat(), settings.flat()
    for name in [*_FEATURES, *(field.name for field in fields(LASConfig))]:
        if name in now and begun[name] != now[name]:
            raise UserError(
                f"{folder} was begun with {name} {begun[name]}, not {now[name]}: train "
                f"into a new folder, or leave {name} as it was"
            )
    built = _vocabulary(settings, characters)
    return kept.extended(built) if kept else built


def _vocabulary(settings: Settings, characters: Mapping[str, int]) -> Vocabulary:
    training = settings.training
    return Vocabulary.named(training.vocabulary, characters, training.min_count)


def report_finetuning(pretrained: PretrainedModel, vocabulary: Vocabulary, normalizer: str) -> None:
    """Say how many characters are new, and warn where transcripts follow another rule."""
    new = len(vocabulary) - len(pretrained.vocabulary)
    log.info("fine-tuning: %d units, of which %d are new to the model", len(vocabulary), new)
    if normalizer != pretrained.normalizer:
        log.warning("trained on %s text, now on %s text", pretrained.normalizer, normalizer)


def _refuse_other_shape(settings: Settings, pretrained: PretrainedModel) -> None:
    """Name all settings that differ from what the model is."""
    wanted = settings.flat()
    found = {name: getattr(pretrained.model.config, name) for name in _SHAPE}
    found |= {name: getattr(pretrained.features, name) for name in _FEATURES}
    if wanted["vocabulary"] in get_args(Kind):
        found["vocabulary"] = pretrained.vocabulary.kind
    differing = [name for name, value in found.items() if wanted[name] != value]
    if differing:
        said = ", ".join(f"{name} {found[name]}, not {wanted[name]}" for name in differing)
        raise UserError(
            f"{settings.training.init_from} has {said}: leave out {' '.join(differing)}, which "
            "follow from the model, or train without init_from"
        )
