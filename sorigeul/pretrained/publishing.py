"""The run folder: publish and load a model, save and find the state of a run.

Knows files and tensors; nothing of audio, batches or how a model is trained. A published model is
three files that need nothing but this package, and are never read through pickle.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from sorigeul.base.files import replacing, write_text
from sorigeul.model.jamo_embedding import merged_state_dict
from sorigeul.pretrained.loading import CONFIG, VOCABULARY, WEIGHTS, PretrainedModel


def publish(run: Path, pretrained: PretrainedModel) -> None:
    """Write the model into the run folder, the weights last, each file whole or not at all."""
    vocabulary = pretrained.vocabulary
    config = {
        "format": "sorigeul/1",
        "model": dataclasses.asdict(pretrained.model.config),
        "features": dataclasses.asdict(pretrained.features),
        "normalizer": pretrained.normalizer,
        "vocabulary_hash": vocabulary.hash,
    }
    write_text(run / VOCABULARY, vocabulary.to_json())
    write_text(run / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    metadata = {**pretrained.results, "vocabulary_hash": vocabulary.hash}
    write_weights(run / WEIGHTS, merged_state_dict(pretrained.model), metadata)


def write_weights(path: Path, weights: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    weights = {name: part.contiguous().cpu() for name, part in weights.items()}
    with replacing(path) as temporary:
        try:
            save_file(weights, temporary, metadata)
        except SafetensorError as error:  # safetensors' name for an I/O error
            raise OSError(f"{path} could not be written: {error}") from error
