"""A run without PyTorch: its weights become graphs in memory when it is loaded.

Nothing is written, so the graphs are always those of the weights that are there.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np

from sorigeul.base.errors import UserError
from sorigeul.base.weight_arrays import read_arrays
from sorigeul.exporting.graph_builder import Floats
from sorigeul.exporting.listener_graph import listener_graph
from sorigeul.exporting.runtime import OnnxModel
from sorigeul.exporting.speller_graph import speller_graph
from sorigeul.model.config import CONV_REDUCTION, LASConfig
from sorigeul.pretrained.description import (
    CONFIG,
    WEIGHTS,
    PretrainedModel,
    describe_pretrained,
    vocabulary_mismatch,
)

_COUNTER = ".num_batches_tracked"  # of a batch normalisation, which only training reads


def load_run(source: str | Path) -> PretrainedModel:
    """Load a published model, as `pretrained.loading.load_pretrained` does, as an `OnnxModel`.

    It has no pretrained listener. Raises UserError as that does.
    """
    description = describe_pretrained(source)
    folder, vocabulary = description.folder, description.vocabulary
    arrays, results = read_arrays(folder / WEIGHTS)
    if results.pop("vocabulary_hash", None) != vocabulary.hash:
        raise vocabulary_mismatch(folder)
    weights = {
        name: array.astype(np.float32, copy=False)
        for name, array in arrays.items()
        if not name.endswith(_COUNTER)
    }
    try:
        model = make_graphs(description.config, weights)
    except ValueError as error:
        raise UserError(
            f"{folder / WEIGHTS} does not fit {CONFIG}: both must come from one run"
        ) from error
    return description.complete(cast(Any, model), results)


def make_graphs(config: LASConfig, weights: Mapping[str, Floats]) -> OnnxModel:
    """The model of a configuration with these weights, by their names in its `state_dict`.

    Raises ValueError if the weights are not those of such a model.
    """

    def fingerprint() -> str:
        digest = sha256()
        for name in sorted(weights):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(weights[name]).data)
        return digest.hexdigest()

    watched = _Watched(weights)
    try:
        listener, speller = listener_graph(config, watched), speller_graph(config, watched)
        if unread := watched.keys() - watched.read:
            raise ValueError(f"weights that it does not have: {', '.join(sorted(unread)[:3])}")
        model = OnnxModel(config, listener.finish(), speller.finish(), fingerprint)
        _try_out(model, len(weights["speller.embedding.weight"]))
    except Exception as error:  # of many kinds, by which weight does not fit
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return model


class _Watched(dict[str, Floats]):
    """Weights that know which of them were read."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        super().__init__(weights)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Floats:
        self.read.add(name)
        return super().__getitem__(name)


def _try_out(model: OnnxModel, characters: int) -> None:
    """Hear a moment, and write a character. Raises an error if that cannot be."""
    config = model.config
    moment = np.zeros((1, 4 * CONV_REDUCTION, config.n_mels), np.float32)
    heard = model.listen(moment, np.array([moment.shape[1]]))
    logits, _, _ = model.speller(np.full((1, 1), config.sos_id), model.make_memory(heard))
    scores = [logits] if heard.ctc_logits is None else [logits, heard.ctc_logits]
    if {characters, *(score.shape[-1] for score in scores)} != {config.vocabulary_size}:
        raise ValueError("it has another vocabulary")
