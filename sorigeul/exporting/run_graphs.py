"""A run without PyTorch: its weights become graphs in memory when it is loaded.

Nothing is written, so the graphs are always those of the weights that are there.
"""

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from sorigeul.base.weight_arrays import read_arrays
from sorigeul.exporting.listener_graph import listener_graph
from sorigeul.exporting.runtime import OnnxModel
from sorigeul.exporting.speller_graph import speller_graph
from sorigeul.exporting.weight_shapes import weight_shapes
from sorigeul.model.config import LASConfig
from sorigeul.pretrained.description import (
    WEIGHTS,
    PretrainedModel,
    describe_pretrained,
    vocabulary_mismatch,
    weights_mismatch,
)


def load_run(source: str | Path) -> PretrainedModel:
    """Load a published model, as `pretrained.loading.load_pretrained` does, as an `OnnxModel`.

    It has no pretrained listener. Raises UserError as that does.
    """
    description = describe_pretrained(source)
    folder, vocabulary = description.folder, description.vocabulary
    arrays, results = read_arrays(folder / WEIGHTS)
    if results.pop("vocabulary_hash", None) != vocabulary.hash:
        raise vocabulary_mismatch(folder)
    try:
        model = make_graphs(description.config, arrays)
    except ValueError as error:
        raise weights_mismatch(folder) from error
    model.load_again = partial(_model_of, folder)
    return description.complete(cast(Any, model), results)


def _model_of(folder: Path) -> OnnxModel:
    """The model in a folder, for a process that is to compute the same."""
    return cast(OnnxModel, load_run(folder).model)


def make_graphs(config: LASConfig, state: Mapping[str, npt.NDArray[Any]]) -> OnnxModel:
    """The model of a configuration with the arrays of a `state_dict`, by their names.

    Raises ValueError if they are not those of such a model.
    """
    shapes = weight_shapes(config)
    if {name: array.shape for name, array in state.items()} != shapes:
        raise ValueError("these are the weights of another model")
    weights, digest = {}, sha256()
    for name in shapes:  # in the order in which PyTorch has them, for the same fingerprint
        array = state[name]
        is_weight = array.dtype.kind == "f"  # and no counter of batches
        weights[name] = array.astype(np.float32, copy=False) if is_weight else array
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(weights[name]).data)
    fingerprint = digest.hexdigest()
    listener, speller = listener_graph(config, weights), speller_graph(config, weights)
    return OnnxModel(config, listener.finish(), speller.finish(), lambda: fingerprint)
