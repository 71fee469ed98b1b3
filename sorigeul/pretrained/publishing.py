"""Publishing a model: its weights, configuration and vocabulary as three files in a run folder.

They hold everything that is needed to load the model with `loading.py`, without pickle.
"""

import dataclasses
import json
from pathlib import Path

from sorigeul.base.files import write_text
from sorigeul.base.weights import write_weights
from sorigeul.model.jamo_embedding import merged_state_dict
from sorigeul.pretrained.description import CONFIG, VOCABULARY, WEIGHTS, PretrainedModel


def publish(run: Path, pretrained: PretrainedModel) -> None:
    """Write a model into a run folder, the weights last. Each file is replaced atomically.

    Raises OSError if a file cannot be written.
    """
    vocabulary = pretrained.vocabulary
    config = {
        "format": "sorigeul/1",
        "model": dataclasses.asdict(pretrained.model.config),
        "features": dataclasses.asdict(pretrained.features),
        "normalizer": pretrained.normalizer,
        "vocabulary_hash": vocabulary.hash,
        "longest_utterance": pretrained.longest_utterance,
    }
    if pretrained.unseen_units:  # earlier versions read models without any
        config["unseen_units"] = pretrained.unseen_units
    write_text(run / VOCABULARY, vocabulary.to_json())
    write_text(run / CONFIG, json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    metadata = {**pretrained.results, "vocabulary_hash": vocabulary.hash}
    write_weights(run / WEIGHTS, merged_state_dict(pretrained.model), metadata)
