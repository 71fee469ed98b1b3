"""Publishing a model: its weights, configuration and vocabulary as three files in a run folder.

They hold everything that is needed to load the model with `loading.py`, without pickle.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

from sorigeul.base.files import write_text
from sorigeul.base.weights import write_weights
from sorigeul.model.config import PRETRAINED
from sorigeul.model.jamo_embedding import merged_state_dict
from sorigeul.pretrained.description import CONFIG, VOCABULARY, WEIGHTS, PretrainedModel


def publish(run: Path, pretrained: PretrainedModel) -> None:
    """Write a model into a run folder, the weights last. Each file is replaced atomically.

    Raises OSError if a file cannot be written.
    """
    vocabulary = pretrained.vocabulary
    config: dict[str, Any] = {
        "format": "sorigeul/1",
        "model": dataclasses.asdict(pretrained.model.config),
        "features": dataclasses.asdict(pretrained.features),
        "normalizer": pretrained.normalizer,
        "vocabulary_hash": vocabulary.hash,
        "longest_utterance": pretrained.longest_utterance,
    }
    # What earlier versions do not know is left out where it says nothing.
    if pretrained.unseen_units:
        config["unseen_units"] = pretrained.unseen_units
    if pretrained.model.config.is_pretrained:
        source = Path(pretrained.model.config.listener.removeprefix(PRETRAINED))
        if source.is_absolute():  # a folder here, which is nobody else's business
            config["model"]["listener"] = f"{PRETRAINED}{source.name}"
    else:
        del config["model"]["encoder"], config["features"]["kind"]
    write_text(run / VOCABULARY, vocabulary.to_json())
    write_text(run / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    metadata = {**pretrained.results, "vocabulary_hash": vocabulary.hash}
    write_weights(run / WEIGHTS, merged_state_dict(pretrained.model), metadata)
