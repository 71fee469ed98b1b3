"""Loading a published model from a run folder or from the Hugging Face hub.

A published model is three files, which `publishing.py` writes: weights, configuration and
vocabulary. They are never read through pickle, so a model from a stranger cannot run code.
"""

from functools import partial
from pathlib import Path

import torch

from sorigeul.base.outline import have_shapes_of
from sorigeul.base.weights import read_weights
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.description import (
    WEIGHTS,
    PretrainedModel,
    describe_pretrained,
    vocabulary_mismatch,
    weights_mismatch,
)


def load_pretrained(source: str | Path, device: torch.device | str = "cpu") -> PretrainedModel:
    """Load a published model, in evaluation mode.

    `source` is a run folder or the id of a model on the Hugging Face hub. Raises UserError as
    `describe_pretrained` does, and if the weights are damaged or do not fit the configuration.
    """
    description = describe_pretrained(source)
    folder, vocabulary = description.folder, description.vocabulary
    weights, results = read_weights(folder / WEIGHTS)
    if results.pop("vocabulary_hash", None) != vocabulary.hash:
        raise vocabulary_mismatch(folder)
    build = partial(ListenAttendSpell, description.config)
    # The file says how large the model is, not its configuration.
    if not have_shapes_of(weights, build):
        raise weights_mismatch(folder)
    model = build()
    model.load_state_dict(weights)
    model.to(device).eval()
    return description.complete(model, results)
