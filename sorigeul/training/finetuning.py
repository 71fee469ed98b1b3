"""What a run starts from: settings, characters, and the weights of a model if there is one.

Also what a run that goes on must keep, and which parts of a model stay as they are. Knows nothing
of batches or of how a model learns.
"""

import logging
import re

import torch
from torch import Tensor, nn

from sorigeul.base.errors import UserError
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.loading import PretrainedModel
from sorigeul.text.vocabulary import Vocabulary

log = logging.getLogger(__name__)
_BY_UNIT = ("speller.embedding", "speller.out", "ctc")
"""layers that have a row for each unit of the vocabulary"""


# Weights.


@torch.no_grad()
def transfer_weights(
    model: ListenAttendSpell, vocabulary: Vocabulary, pretrained: PretrainedModel
) -> None:
    """Give `model`, of the same shape, the weights of another; rows of units go by their unit.

    A CTC head that the other one lacks stays as it was initialised.
    """
    theirs = pretrained.model
    of_units = tuple(f"{name}." for name in _BY_UNIT)
    weights = {n: part for n, part in theirs.state_dict().items() if not n.startswith(of_units)}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.startswith(of_units) for name in missing)
    made_of = unit_mixture(pretrained.vocabulary, vocabulary)
    for name in _BY_UNIT:
        if name == "ctc" and not (hasattr(model, "ctc") and hasattr(theirs, "ctc")):
            continue
        layer, source = model.get_submodule(name), theirs.get_submodule(name)
        for part in ("weight", "bias"):
            if hasattr(source, part):
                _set(layer, part, made_of @ getattr(source, part).double())


def unit_mixture(old: Vocabulary, new: Vocabulary) -> Tensor:
    """How much of each unit of `old` makes up each unit of `new` (V', V), in float64.

    A unit that both have is itself. A Hangul syllable that only `new` has is one part the
    syllables with its onset, one part those with its nucleus, one part those with its coda, as far
    as there are any, since what sounds alike in part should be expected in part. Any other unit is
    the mean of all characters. Every row sums to 1, so a new unit scores no higher than the best
    known one: with greedy search the model writes the same as before, until it learns.
    """
    ids = {unit: number for number, unit in enumerate(old.units)}
    letters, wanted = torch.tensor(old.jamo_ids()), torch.tensor(new.jamo_ids())
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


def frozen_batch_norms(model: nn.Module) -> list[nn.Module]:
    """The batch normalisations that are frozen."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.BatchNorm2d) and not layer.weight.requires_grad
    ]
