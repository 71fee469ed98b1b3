"""Loading a model that is to recognise: a run, a model of the hub, or an export."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sorigeul.base.errors import UserError
from sorigeul.base.hub import find_model_folder
from sorigeul.exporting.runtime import (
    LANGUAGE_MODEL,
    LISTENER,
    SPELLER,
    exported_model,
    is_export,
    load_export,
)
from sorigeul.pretrained.description import (
    CONFIG,
    EXPORT,
    VOCABULARY,
    WEIGHTS,
    PretrainedModel,
)
from sorigeul.pretrained.search_settings import SEARCH
from sorigeul.search.options import NO_LM, SearchRequest

if TYPE_CHECKING:
    import torch


_PUBLISHED = (CONFIG, VOCABULARY, WEIGHTS, SEARCH)
_EXPORTED = (EXPORT, LISTENER, SPELLER, f"{LANGUAGE_MODEL}/*")


def find_model(source: str | Path) -> Path:
    """The folder of a model: a run, an export, or one of the hub, which is downloaded.

    Raises UserError if `source` is none of these.
    """
    return find_model_folder(source, "a run folder", (*_PUBLISHED, *_EXPORTED))


def load_model(source: str | Path, device: torch.device | str | None = None) -> PretrainedModel:
    """Load a model from a run folder, from the hub by its id, or from the folder of an export.

    Without a `device` it goes on a GPU if there is one; an export has none. Raises UserError if
    there is no such model, or a damaged one.
    """
    folder = find_model(source)
    if is_export(folder):
        return load_export(folder)
    if find_spec("torch") is None:
        raise UserError(
            f"{source} needs PyTorch: pip install 'sorigeul[train]', or give a model that "
            "'sorigeul export' wrote"
        )
    from sorigeul.pretrained.loading import load_pretrained
    from sorigeul.recognition.torch_engine import default_device

    return load_pretrained(folder, device or default_device())


def device_of(pretrained: PretrainedModel) -> torch.device | None:
    """Where a model of PyTorch is; None for an export."""
    if exported_model(pretrained) is not None:
        return None
    return next(pretrained.model.parameters()).device


def with_own_language_model(source: str | Path, request: SearchRequest) -> SearchRequest:
    """The request with the language model that an export has, unless it asks for others or none."""
    if request.lm == (NO_LM,):
        return replace(request, lm=())
    if request.lm:
        return request
    folder = find_model(source)
    own = folder / LANGUAGE_MODEL
    if not is_export(folder) or not own.is_dir():
        return request
    return replace(request, lm=(str(own),))
