"""Loading a language model of any kind from a folder or from the Hugging Face hub."""

from pathlib import Path
from typing import Any

import torch

from sorigeul.base.errors import UserError
from sorigeul.lm.language_model import LanguageModel
from sorigeul.lm.model_files import CONFIG, VOCABULARY, read_description
from sorigeul.lm.ngram import NgramModel
from sorigeul.lm.recurrent import RecurrentModel

_FILES = [CONFIG, VOCABULARY, "*.safetensors"]


def load_language_model(
    source: str | Path, device: torch.device | str = "cpu"
) -> LanguageModel[Any]:
    """Load a language model, ready to score on `device`.

    `source` is a folder that 'sorigeul lm train' wrote, or the id of a model on the Hugging Face
    hub. Raises UserError if there is no language model, or a damaged one.
    """
    folder = _find_folder(source)
    description = read_description(folder)
    model: LanguageModel[Any]
    if description.kind == RecurrentModel.kind:
        model = RecurrentModel.load(description)
    elif description.kind == NgramModel.kind:
        model = NgramModel.load(folder)
    else:
        raise UserError(
            f"{folder} is of a kind this version does not know ({description.kind}): use the "
            "version of sorigeul that wrote it"
        )
    model.to(torch.device(device))
    return model


def _find_folder(source: str | Path) -> Path:
    """The folder of a model, downloaded from the hub if necessary."""
    folder = Path(source)
    if folder.is_dir():
        return folder
    looks_like_hub_id = str(source).count("/") == 1 and not str(source).startswith((".", "/"))
    if not looks_like_hub_id:
        raise UserError(f"{source} is neither the folder of a language model nor a Hugging Face id")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(source), allow_patterns=_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{source} is no folder here, and the Hugging Face hub gave no such model: {reason}"
        ) from error
