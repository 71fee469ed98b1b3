"""What a run starts from: settings, vocabulary, and a published model if it fine-tunes one.

Also checks that the settings of a resumed run do not contradict those it was started with.
"""

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, get_args

from lhotse import CutSet
from torch import Tensor, cuda

from sorigeul.base.errors import UserError
from sorigeul.data.manifests import as_lazy_cuts
from sorigeul.model.config import PRETRAINED, LASConfig
from sorigeul.pretrained.description import PretrainedModel, describe_pretrained
from sorigeul.pretrained.encoders import (
    describe_encoder,
    encoder_features,
    load_encoder_weights,
)
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.text.vocabulary import Kind, Vocabulary
from sorigeul.training import checkpoints
from sorigeul.training.settings import RUN_CONFIG, Settings
from sorigeul.training.vocabulary_text import with_syllables_of

log = logging.getLogger(__name__)

# Everything else in a model's configuration is its shape. `n_mels` follows from the features.
_NOT_SHAPE = {
    "dropout",
    "ctc_weight",
    "guide_weight",
    "jamo_ctc_weight",
    "share_letters",
    "n_mels",
    "vocabulary_size",
}
_SHAPE = [field.name for field in fields(LASConfig) if field.name not in _NOT_SHAPE]
_FEATURES = [field.name for field in fields(FeatureConfig)]


# Settings.


def starting_point(
    preset: str | None,
    config: Path | None,
    init_from: str | None,
    listener: str | None,
    run: Path | None,
    default: str,
) -> Settings:
    """The settings that the options of `sorigeul train` change.

    They come from the file `config`, from the `run` if it exists, or from `preset` or else the
    preset `default`. If a model is fine-tuned, its shape and features replace those of the preset;
    so do the features of a pretrained `listener`. A file may leave them out. If it contradicts the
    model or the listener, the run refuses to start.
    """
    if config is not None:
        start = Settings.from_yaml(config)
        source = init_from or start.training.init_from
        if source:
            return Settings.from_yaml(config, _with_model_shape(Settings(), source, run))
        given = {"listener": listener or start.model.listener}
        base = with_encoder(Settings().changed(given, "listener"), run)
        return Settings.from_yaml(config, base) if base.model.is_pretrained else start
    if run and comes_from_run(preset, config, run):
        start = Settings.of_run(run)
        if start.training.init_from and start.model.is_pretrained:
            return _with_model_shape(start, start.training.init_from, run)
    else:
        start = Settings.preset(preset or default)
        if init_from:
            return _with_model_shape(start, init_from, run)
    return with_encoder(
        start.changed({"listener": listener}, "listener") if listener else start, run
    )


def comes_from_run(preset: str | None, config: Path | None, run: Path | None) -> bool:
    """Whether the settings that these options start from are those of the run in a folder."""
    return not (preset or config) and run is not None and (run / RUN_CONFIG).is_file()


def with_whole_batch(settings: Settings, processes: int | Literal["auto"]) -> Settings:
    """Settings of devices auto, from a run whose `processes` each had a share of the batch."""
    if settings.training.devices != "auto" or processes == "auto" or cuda.is_available():
        return settings
    name = "batch_seconds" if settings.data.batch_seconds else "batch_size"
    return settings.changed({name: settings.flat()[name] * processes}, "restart")


def with_encoder(settings: Settings, run: Path | None) -> Settings:
    """`settings` with the shape of their pretrained listener, and the features that it hears.

    The shape comes from the `run` if it has begun, so that it resumes without the source. Settings
    that know the shape already come back as they are. Raises UserError if there is no such
    listener, and then if their features contradict it.
    """
    if not settings.model.is_pretrained:
        return settings
    if settings.training.init_from and settings.model.encoder:
        return settings  # its listener and features are compared with those of the model
    begun = Settings.of_run(run) if run and checkpoints.has_checkpoint(run) else None
    source = Path(settings.model.listener.removeprefix(PRETRAINED))
    folder = f"{PRETRAINED}{source.absolute()}"
    # Absolute, since a run may be resumed in another working directory, and without the folder.
    if source.is_dir() or (begun and begun.model.listener == folder):
        settings = replace(settings, model=replace(settings.model, listener=folder))
    model = settings.model
    if model.encoder:
        features = encoder_features(model.encoder)
        own, needed = dataclasses.asdict(settings.features), dataclasses.asdict(features)
        if differing := [name for name, value in needed.items() if own[name] != value]:
            given = ", ".join(f"{name} {own[name]}" for name in differing)
            raise UserError(
                f"{given} cannot be with {model.listener}, which hears what it was trained on: "
                f"leave out {' '.join(differing)}"
            )
        return settings
    if run and begun and begun.model.listener == model.listener:
        encoder = checkpoints.load_encoder(run)
    else:
        encoder = describe_encoder(model.listener)
    return replace(
        settings, model=replace(model, encoder=encoder), features=encoder_features(encoder)
    )


def start_encoder_weights(settings: Settings) -> dict[str, Tensor] | None:
    """The weights that the pretrained listener of a new run starts from; None if it has none.

    A run that fine-tunes a model of ours has those of that model.
    """
    if not settings.model.is_pretrained or settings.training.init_from:
        return None
    return load_encoder_weights(settings.model.listener, settings.model.encoder)


def _with_model_shape(settings: Settings, source: str, run: Path | None) -> Settings:
    """The settings with shape and features of the model `source`, or of the run it became."""
    if run and checkpoints.has_checkpoint(run):  # the model may no longer exist
        run_settings = with_encoder(Settings.of_run(run), run)
        return adopt_model(
            settings, run_settings.features, run_settings.model, run_settings.training.vocabulary
        )
    model = describe_pretrained(source)
    return adopt_model(settings, model.features, model.config, model.vocabulary.kind)


def adopt_model(
    settings: Settings, features: FeatureConfig, model: LASConfig, vocabulary: str
) -> Settings:
    """`settings` with the features, the shape and the kind of vocabulary of another model.

    What they exclude is switched off: CTC if the model reads its input backwards, guided attention
    if it does so or has no attention, shared jamo embeddings if it does not write syllables.
    """
    shape = {name: getattr(model, name) for name in _SHAPE}
    if features.input_reverse:
        shape["ctc_weight"] = 0.0
    if features.input_reverse or not model.use_attention:
        shape["guide_weight"] = 0.0
    if vocabulary in ("jamo", "bpe"):
        shape["share_letters"] = False
    return replace(
        settings,
        features=features,
        model=replace(settings.model, **shape),
        training=replace(settings.training, vocabulary=vocabulary),
    )


# The vocabulary of a new run and of a resumed one.


def start_vocabulary(
    settings: Settings, characters: Mapping[str, int], cuts: CutSet
) -> tuple[Vocabulary, PretrainedModel | None]:
    """The vocabulary of a new run, and the model that it fine-tunes, if there is one.

    The model's units keep their ids, and the units of the new corpus follow, so that the model
    still knows what it knew. `characters` are those of the training text and how often each occurs;
    `cuts` have that text, for units of several characters. Raises UserError if the settings
    contradict the model.
    """
    corpus_vocabulary = corpus_units(settings, characters, cuts)
    if not settings.training.init_from:
        return _with_text(settings, corpus_vocabulary), None
    pretrained = load_pretrained(settings.training.init_from)
    _refuse_other_shape(settings, pretrained)
    return pretrained.vocabulary.extended(corpus_vocabulary), pretrained


def resume_vocabulary(
    folder: Path, settings: Settings, characters: Mapping[str, int], cuts: CutSet
) -> Vocabulary:
    """The vocabulary of a resumed run, for the arguments of `start_vocabulary`.

    Raises UserError if the settings would change the model, its features, or whether the run
    fine-tunes a model.
    """
    begun, now = Settings.of_run(folder), settings.training
    names = ["vocabulary_text", "vocabulary_text_min_count"]
    if now.vocabulary in get_args(Kind):  # the file of a table may have moved
        names += ["vocabulary", "min_count"]
    if now.vocabulary == "bpe" and not now.init_from:
        names.append("bpe_units")
    for name in names:
        if (before := getattr(begun.training, name)) != getattr(now, name):
            raise UserError(
                f"{folder} was begun with {name} {before or 'empty'}, not "
                f"{getattr(now, name) or 'empty'}: train into a new folder, or leave {name} as it "
                "was"
            )
    saved_vocabulary = checkpoints.load_vocabulary(folder)
    fine_tunes = saved_vocabulary is not None and not now.vocabulary_text
    if bool(now.init_from) != fine_tunes:
        raise UserError(
            f"{folder} was begun {'with' if fine_tunes else 'without'} init_from: leave that "
            "as it was, or train into a new folder"
        )
    old, new = begun.flat(), settings.flat()
    for name in [*_FEATURES, *(field.name for field in fields(LASConfig))]:
        if name in new and old[name] != new[name]:
            raise UserError(
                f"{folder} was begun with {name} {old[name]}, not {new[name]}: train "
                f"into a new folder, or leave {name} as it was"
            )
    corpus_vocabulary = corpus_units(settings, characters, cuts)
    if now.vocabulary_text:
        vocabulary = saved_vocabulary or _with_text(settings, corpus_vocabulary)
        if vocabulary.units[: len(corpus_vocabulary) - 3] != corpus_vocabulary.units[:-3]:
            raise checkpoints.other_vocabulary(folder)
        return vocabulary
    return saved_vocabulary.extended(corpus_vocabulary) if saved_vocabulary else corpus_vocabulary


def corpus_units(settings: Settings, characters: Mapping[str, int], cuts: CutSet) -> Vocabulary:
    """The vocabulary that the training text gives, without model and `vocabulary_text`.

    A model that is fine-tuned has its units of several characters, so the text gives it none.
    """
    training = settings.training
    if training.vocabulary == "bpe" and not training.init_from:
        texts = (text for _, text, _ in as_lazy_cuts(cuts).transcripts())
        return Vocabulary.learn(texts, training.bpe_units, training.min_count)
    return Vocabulary.named(training.vocabulary, characters, training.min_count)


def _with_text(settings: Settings, vocabulary: Vocabulary) -> Vocabulary:
    training = settings.training
    if not training.vocabulary_text:
        return vocabulary
    text = Path(training.vocabulary_text)
    return with_syllables_of(text, training.vocabulary_text_min_count, vocabulary)


def report_finetuning(pretrained: PretrainedModel, vocabulary: Vocabulary, normalizer: str) -> None:
    """Log how many units are new, and warn if the new transcripts have another normaliser."""
    new = len(vocabulary) - len(pretrained.vocabulary)
    log.info("fine-tuning: %d units, of which %d are new to the model", len(vocabulary), new)
    if normalizer != pretrained.normalizer:
        log.warning("trained on %s text, now on %s text", pretrained.normalizer, normalizer)


def _refuse_other_shape(settings: Settings, pretrained: PretrainedModel) -> None:
    """Raise UserError with every setting that differs from the model's."""
    requested = settings.flat()
    actual = {name: getattr(pretrained.model.config, name) for name in _SHAPE}
    actual |= {name: getattr(pretrained.features, name) for name in _FEATURES}
    actual = {name: value for name, value in actual.items() if name in requested}
    if requested["vocabulary"] in get_args(Kind):
        actual["vocabulary"] = pretrained.vocabulary.kind
    differing = [name for name, value in actual.items() if requested[name] != value]
    if differing:
        differences = ", ".join(
            f"{name} {actual[name]}, not {requested[name]}" for name in differing
        )
        raise UserError(
            f"{settings.training.init_from} has {differences}: leave out {' '.join(differing)}, "
            "which follow from the model, or train without init_from"
        )
