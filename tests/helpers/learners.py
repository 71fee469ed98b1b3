"""A learner of the four tones, and what it does in some steps."""

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


def learner(settings: Settings = PLAIN, fabric: Fabric | None = None) -> Learner:
    return Learner(settings, VOCABULARY, fabric or devices.launch(settings.training))


def characters(batches: Sequence[Batch]) -> list[int]:
    return [int(batch.token_lengths.sum()) + len(batch) for batch in batches]


def steps(
    learner: Learner, batches: Sequence[Batch], times: int, rate: float = 0.001
) -> list[StepResult]:
    learner.model.train()
    count = len(batches)
    return [
        learner.step([batches[n % count]], characters([batches[n % count]]), rate)
        for n in range(times)
    ]


def weights(learner: Learner) -> dict[str, Tensor]:
    """Parameters and statistics, as they are now."""
    return copy.deepcopy(learner.las.state_dict())


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)
