"""What a run starts from: settings, characters, and the weights of a model if there is one.

Also what a run that goes on must keep, and which parts of a model stay as they are. Knows nothing
of batches or of how a model learns.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn

from sorigeul import checkpoint
from sorigeul.checkpoint import Pretrained
from sorigeul.errors import UserError
from sorigeul.features import FeatureConfig
from sorigeul.model.las import LASConfig, ListenAttendSpell
from sorigeul.settings import RUN_CONFIG, Settings
from sorigeul.vocabulary import Kind, Vocabulary

log = logging.getLogger(__name__)

# All else in a model's configuration is its shape. The bands follow from the features.
_NOT_SHAPE = {
    "dropout", "ctc_weight", "guide_weight", "share_letters", "n_mels", "vocabulary_size",
}  # fmt: skip
_SHAPE = [field.name for field in fields(LASConfig) if field.name not in _NOT_SHAPE]
_FEATURES = [field.name for field in fields(FeatureConfig)]
_BY_UNIT = ("speller.embedding", "speller.out", "ctc")
"""layers that have a row for each unit of the vocabulary"""


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
            return Settings.from_yaml(config, _as_the_model(Settings(), source, run))
        return start
    if run and (run / RUN_CONFIG).is_file() and not preset:
        return Settings.of_run(run)
    start = Settings.preset(preset or default)
    return _as_the_model(start, init_from, run) if init_from else start


def _as_the_model(settings: Settings, source: str, run: Path | None) -> Settings:
    """The settings with shape and features of a model, or of what a run made of it already."""
    if run and checkpoint.begun(run):  # and the model may be gone
        own = Settings.of_run(run)
        return adopted(settings, own.features, own.model, own.training.vocabulary)
    model = checkpoint.describe(source)
    return adopted(settings, model.features, model.config, model.vocabulary.kind)


def adopted(
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


def start(
    settings: Settings, characters: Mapping[str, int]
) -> tuple[Vocabulary, Pretrained | None]:
    """The vocabulary of a run that begins, and the model it begins from, if there is one.

    The model's own units keep their ids, and those of the new corpus follow, so that nothing known
    is forgotten. Raises UserError where the settings contradict the model.
    """
    built = _vocabulary(settings, characters)
    if not settings.training.init_from:
        return built, None
    pretrained = checkpoint.load(settings.training.init_from)
    _refuse_other_shape(settings, pretrained)
    return pretrained.vocabulary.extended(built), pretrained


def resume(folder: Path, settings: Settings, characters: Mapping[str, int]) -> Vocabulary:
    """The vocabulary of a run that goes on.

    Raises UserError where the model, its features or whether it began from another one would be
    otherwise than when the run was begun.
    """
    kept = checkpoint.kept_vocabulary(folder)
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


def describe(pretrained: Pretrained, vocabulary: Vocabulary, normalizer: str) -> None:
    """Say how many characters are new, and warn where transcripts follow another rule."""
    new = len(vocabulary) - len(pretrained.vocabulary)
    log.info("fine-tuning: %d units, of which %d are new to the model", len(vocabulary), new)
    if normalizer != pretrained.normalizer:
        log.warning("trained on %s text, now on %s text", pretrained.normalizer, normalizer)


def _refuse_other_shape(settings: Settings, pretrained: Pretrained) -> None:
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


# Weights.


@torch.no_grad()
def take_over(model: ListenAttendSpell, vocabulary: Vocabulary, pretrained: Pretrained) -> None:
    """Give `model`, of the same shape, the weights of another; rows of units go by their unit.

    A CTC head that the other one lacks stays as it was initialised.
    """
    theirs = pretrained.model
    of_units = tuple(f"{name}." for name in _BY_UNIT)
    weights = {n: part for n, part in theirs.state_dict().items() if not n.startswith(of_units)}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.startswith(of_units) for name in missing)
    made_of = shares(pretrained.vocabulary, vocabulary)
    for name in _BY_UNIT:
        if name == "ctc" and not (hasattr(model, "ctc") and hasattr(theirs, "ctc")):
            continue
        layer, source = model.get_submodule(name), theirs.get_submodule(name)
        for part in ("weight", "bias"):
            if hasattr(source, part):
                _set(layer, part, made_of @ getattr(source, part).double())


def shares(old: Vocabulary, new: Vocabulary) -> Tensor:
    """How much of each unit of `old` makes up each unit of `new` (V', V), in float64.

    A unit that both have is itself. A Hangul syllable that only `new` has is one part the
    syllables with its onset, one part those with its nucleus, one part those with its coda, as far
    as there are any, since what sounds alike in part should be expected in part. Any other unit is
    the mean of all characters. Every row sums to 1, so a new unit scores no higher than the best
    known one: with greedy search the model writes the same as before, until it learns.
    """
    ids = {unit: number for number, unit in enumerate(old.units)}
    letters, wanted = torch.tensor(old.letters()), torch.tensor(new.letters())
    rows = torch.zeros(len(new), len(old), dtype=torch.float64)
    for row, unit, own in zip(rows, new.units, wanted, strict=True):
        alike = (letters == own) & (letters > 0)
        counts = alike.sum(0)
        if unit in ids:
            row[ids[unit]] = 1.0
        elif counts.any():
            row += (alike[:, counts > 0] / counts[counts > 0].double()).mean(1)
        else:
            row[:-3] = 1 / (len(old) - 3)
    return rows


def _set(layer: nn.Module, name: str, value: Tensor) -> None:
    before = getattr(layer, name)
    if isinstance(before, nn.Parameter):
        before.copy_(value)
    else:  # parametrized: PyTorch asks the parametrization what would give this value
        setattr(layer, name, value.to(before))


# What stays as it is.


def freeze(model: nn.Module, parts: str) -> None:
    """Keep from learning all parameters whose names begin with one of `parts`, comma separated.

    Raises UserError, with the parts there are, for one that the model has not, or if all would be
    frozen.
    """
    names = [name for name, _ in model.named_parameters()]
    for part in filter(None, map(str.strip, parts.split(","))):
        chosen = [name for name in names if name == part or name.startswith(f"{part}.")]
        if not chosen:
            layers = [re.split(r"\.parametrizations\.|\.[^.]+$", name)[0] for name in names]
            there_are = sorted({".".join(layer.split(".")[:2]) for layer in layers})
            raise UserError(f"freeze: the model has no {part}, but {', '.join(there_are)}")
        for name in chosen:
            model.get_parameter(name).requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"freeze {parts} leaves nothing to learn: name fewer parts")


def frozen_statistics(model: nn.Module) -> list[nn.Module]:
    """The batch normalisations that are frozen."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.BatchNorm2d) and not layer.weight.requires_grad
    ]
