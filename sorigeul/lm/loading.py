"""Loading a language model of any kind from a folder or from the Hugging Face hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sorigeul.base.errors import UserError
from sorigeul.base.hub import find_model_folder
from sorigeul.lm.language_model import LanguageModel
from sorigeul.lm.model_files import CONFIG, VOCABULARY, read_description
from sorigeul.lm.ngram import NgramModel

if TYPE_CHECKING:
    import torch

_WHAT = "the folder of a language model"
_FILES = [CONFIG, VOCABULARY, "*.safetensors"]


def needs_pytorch(source: str | Path) -> bool:
    """Whether a language model is of a kind that only PyTorch computes.

    Raises UserError as `load_language_model` does.
    """
    folder = find_model_folder(source, _WHAT, _FILES)
    return read_description(folder).kind != NgramModel.kind


def load_language_model(
    source: str | Path, device: "torch.device | str | None" = "cpu"
) -> LanguageModel[Any]:
    """Load a language model, ready to score on `device`; None: without PyTorch.

    `source` is a folder that 'sorigeul lm train' wrote, or the id of a model on the Hugging Face
    hub. Raises UserError if there is no language model, a damaged one, or one that needs PyTorch.
    """
    folder = find_model_folder(source, _WHAT, _FILES)
    description = read_description(folder)
    if description.kind == NgramModel.kind:
        model = NgramModel.load(folder)
        if device is not None:
            model.to(device)
        return model
    if device is None:
        raise UserError(
            f"{folder} is a {description.kind} language model, which needs PyTorch: an export "
            "takes n-gram models"
        )
    from sorigeul.lm.network import NetworkModel  # n-grams need no PyTorch
    from sorigeul.lm.networks import NETWORKS

    if description.kind not in NETWORKS:
        raise UserError(
            f"{folder} is of a kind this version does not know ({description.kind}): use the "
            "version of sorigeul that wrote it"
        )
    network = NetworkModel.load(description, NETWORKS[description.kind])
    network.to(device)
    return network
