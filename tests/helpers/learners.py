"""A learner on the language of four tones, and some training steps of it."""

import copy
from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor

from helpers import tones
from sorigeul.data.batches import Batch
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training import devices
from sorigeul.training.learner import Learner, StepResult
from sorigeul.training.settings import Settings

VOCABULARY = Vocabulary.from_texts(["가나다라"])
PLAIN = tones.TINY.changed(
    {"guide_weight": 1.0, "precision": "float32", "batch_size": 8, "augment_ratio": 0.0}, "test"
)


def new_learner(settings: Settings = PLAIN, fabric: Fabric | None = None) -> Learner:
    return Learner(settings, VOCABULARY, fabric or devices.launch(settings.training))


def character_counts(batches: Sequence[Batch]) -> list[int]:
    """Characters of each batch, end marks included."""
    return [int(batch.token_lengths.sum()) + len(batch) for batch in batches]


def take_steps(
    learner: Learner, batches: Sequence[Batch], count: int, learning_rate: float = 0.001
) -> list[StepResult]:
    """Take `count` steps of one batch each, going around the batches."""
    learner.model.train()
    chosen = [batches[number % len(batches)] for number in range(count)]
    return [learner.step([batch], character_counts([batch]), learning_rate) for batch in chosen]


def weights(learner: Learner) -> dict[str, Tensor]:
    """A copy of all parameters and statistics."""
    return copy.deepcopy(learner.las.state_dict())


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether all tensors of `one` are equal to those of `other`, to the bit."""
    return all(torch.equal(one[name], other[name]) for name in one)
