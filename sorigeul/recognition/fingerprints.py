"""What decides the texts of a recogniser, in a few characters, to tell results of others apart."""

import hashlib
import json

import torch

from sorigeul.exporting.runtime import onnx_model
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.recognition.search_setup import SearchSetup


def model_fingerprint(pretrained: PretrainedModel) -> str:
    """Of everything that decides what the model writes, except for precision and search."""
    model = pretrained.model
    digest = hashlib.sha256(
        f"{model.config} {pretrained.features} {pretrained.vocabulary.hash}".encode()
    )
    if (graphs := onnx_model(pretrained)) is not None:
        digest.update(graphs.fingerprint.encode())
        return digest.hexdigest()
    own = hashlib.sha256()
    for name, weights in model.state_dict().items():
        own.update(name.encode())
        own.update(weights.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    digest.update(own.hexdigest().encode())
    return digest.hexdigest()


def search_fingerprint(setup: SearchSetup) -> str:
    """Of all that judges texts besides the model itself, and of what confidences are made by."""
    rescorer, terms = setup.rescorer, setup.terms
    parts = {
        "options": str(setup.options),
        "partners": [model_fingerprint(partner) for partner in setup.partners],
        "language_models": [model.fingerprint for model in setup.language_models],
        "terms": None if terms is None else sorted(terms.weights.items()),
        "rescorer": None if rescorer is None else model_fingerprint(rescorer),
        "rescore_weight": setup.rescore_weight,
        "calibration": dict(setup.calibration),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
