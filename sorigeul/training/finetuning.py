"""Fine-tuning: weights for a new vocabulary, layers that are frozen, rates that differ by layer."""

import re
from typing import Any

import torch
from torch import Tensor, nn

from sorigeul.base.errors import UserError
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.pretrained_listener import PretrainedListener
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.settings import TrainingConfig

_UNIT_LAYERS = ("speller.embedding", "speller.out", "ctc")
"""layers whose weights have one row for each unit of the vocabulary"""

# Weights.


@torch.no_grad()
def transfer_weights(
    model: ListenAttendSpell, vocabulary: Vocabulary, pretrained: PretrainedModel
) -> None:
    """Copy the weights of `pretrained` into `model`, which has the same shape.

    The rows of the layers in `_UNIT_LAYERS` are matched by unit (see `unit_mixture`), since
    `vocabulary` may have more of them. A CTC head that `pretrained` lacks keeps its initial
    weights, and so does that of the jamo, which no published model has.
    """
    source = pretrained.model
    unit_prefixes = tuple(f"{name}." for name in (*_UNIT_LAYERS, "jamo_ctc"))
    weights = {
        name: tensor
        for name, tensor in source.state_dict().items()
        if not name.startswith(unit_prefixes)
    }
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.startswith(unit_prefixes) for name in missing)
    mixture = unit_mixture(pretrained.vocabulary, vocabulary)
    for name in _UNIT_LAYERS:
        if name == "ctc" and not (hasattr(model, "ctc") and hasattr(source, "ctc")):
            continue
        layer, source_layer = model.get_submodule(name), source.get_submodule(name)
        for parameter in ("weight", "bias"):
            if hasattr(source_layer, parameter):
                _set(layer, parameter, mixture @ getattr(source_layer, parameter).double())


def unit_mixture(old: Vocabulary, new: Vocabulary) -> Tensor:
    """The weights with which the units of `old` are mixed into each unit of `new`.

    Returns (V', V) in float64, where V' are the units of `new` and V those of `old`.

    A unit that both have is itself. A Hangul syllable that only `new` has is one third the mean of
    the syllables with its onset, one third of those with its nucleus, one third of those with its
    coda, as far as there are any: syllables that share a jamo sound alike. Any other unit is the
    mean of all characters. Every row sums to 1, so a new unit scores no higher than the best known
    one: with greedy search the model writes the same as before, until it learns.
    """
    ids = {unit: number for number, unit in enumerate(old.units)}
    old_jamo, new_jamo = torch.tensor(old.jamo_ids()), torch.tensor(new.jamo_ids())
    rows = torch.zeros(len(new), len(old), dtype=torch.float64)
    for row, unit, jamo in zip(rows, new.units, new_jamo, strict=True):
        shared = (old_jamo == jamo) & (old_jamo > 0)
        counts = shared.sum(0)
        if unit in ids:
            row[ids[unit]] = 1.0
        elif counts.any():
            row += (shared[:, counts > 0] / counts[counts > 0].double()).mean(1)
        else:
            row[:-3] = 1 / (len(old) - 3)
    return rows


def _set(layer: nn.Module, name: str, value: Tensor) -> None:
    parameter = getattr(layer, name)
    if isinstance(parameter, nn.Parameter):
        parameter.copy_(value)
    else:  # parametrized: PyTorch asks the parametrization which parameters give this value
        setattr(layer, name, value.to(parameter))


# Learning rates.


def rate_groups(model: ListenAttendSpell, training: TrainingConfig) -> list[dict[str, Any]]:
    """Parameter groups for the optimizer, each with its `factor` on the learning rate.

    The listener is one group and the rest another. Of a pretrained listener each level of the
    encoder is a group, the lowest first, and what lies on the encoder belongs to the rest. The
    groups do not depend on the factors, so a resumed run may change these.
    """
    listener = model.listener
    levels = [list(listener.parameters())]
    if isinstance(listener, PretrainedListener):
        levels = listener.levels()
    grouped = {id(parameter) for level in levels for parameter in level}
    others = [parameter for parameter in model.parameters() if id(parameter) not in grouped]
    factors = [
        training.listener_lr * training.listener_lr_decay**below for below in range(len(levels))
    ]
    groups = [
        {"params": level, "factor": factor}
        for level, factor in zip(levels, reversed(factors), strict=True)
    ]
    return [*groups, {"params": others, "factor": 1.0}]


# Frozen layers.


def freeze(model: nn.Module, prefixes: str) -> None:
    """Freeze all parameters whose names begin with one of `prefixes`, which commas separate.

    Raises UserError for a prefix that fits no parameter, with a list of those that do, and if all
    parameters would be frozen.
    """
    names = [name for name, _ in model.named_parameters()]
    for prefix in filter(None, map(str.strip, prefixes.split(","))):
        matching = [name for name in names if name == prefix or name.startswith(f"{prefix}.")]
        if not matching:
            layers = [re.split(r"\.parametrizations\.|\.[^.]+$", name)[0] for name in names]
            available = sorted({".".join(layer.split(".")[:2]) for layer in layers})
            raise UserError(f"freeze: the model has no {prefix}, but {', '.join(available)}")
        for name in matching:
            model.get_parameter(name).requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(f"freeze {prefixes} leaves nothing to learn: name fewer layers")


def frozen_batch_norms(model: nn.Module) -> list[nn.Module]:
    """The batch normalisation layers of a model that are frozen."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.BatchNorm2d) and not layer.weight.requires_grad
    ]
