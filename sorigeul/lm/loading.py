"""Loading a language model of any kind from a folder or from the Hugging Face hub."""

from pathlib import Path
from typing import Any

import torch

from sorigeul.base.errors import UserError
from sorigeul.base.hub import find_model_folder
from sorigeul.lm.language_model import LanguageModel
from sorigeul.lm.model_files import CONFIG, VOCABULARY, read_description
from sorigeul.lm.network import CharacterNetwork, NetworkModel
from sorigeul.lm.ngram import NgramModel
from sorigeul.lm.recurrent import RecurrentNetwork
from sorigeul.lm.transformer import TransformerNetwork

NETWORKS: dict[str, type[CharacterNetwork]] = {
    network.kind: network for network in (RecurrentNetwork, TransformerNetwork)
}
"""the networks by the kind of language model that they are"""
_FILES = [CONFIG, VOCABULARY, "*.safetensors"]


def load_language_model(
    source: str | Path, device: torch.device | str = "cpu"
) -> LanguageModel[Any]:
    """Load a language model, ready to score on `device`.

    `source` is a folder that 'sorigeul lm train' wrote, or the id of a model on the Hugging Face
    hub. Raises UserError if there is no language model, or a damaged one.
    """
    folder = find_model_folder(source, "the folder of a language model", _FILES)
    description = read_description(folder)
    model: LanguageModel[Any]
    if description.kind in NETWORKS:
        model = NetworkModel.load(description, NETWORKS[description.kind])
    elif description.kind == NgramModel.kind:
        model = NgramModel.load(folder)
    else:
        raise UserError(
            f"{folder} is of a kind this version does not know ({description.kind}): use the "
            "version of sorigeul that wrote it"
        )
    model.to(torch.device(device))
    return model
