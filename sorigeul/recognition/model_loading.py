"""Loading a model that is to recognise: a run, a model of the hub, or an export."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sorigeul.base.errors import UserError
from sorigeul.exporting.runtime import LANGUAGE_MODEL, exported_model, is_export, load_export
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.search.options import SearchRequest

if TYPE_CHECKING:
    import torch


def load_model(source: str | Path, device: torch.device | str | None = None) -> PretrainedModel:
    """Load a model from a run folder, from the hub by its id, or from the folder of an export.

    Without a `device` it goes on a GPU if there is one; an export has none. Raises UserError if
    there is no such model, or a damaged one.
    """
    if is_export(source):
        return load_export(Path(source))
    if find_spec("torch") is None:
        raise UserError(
            f"{source} needs PyTorch: pip install 'sorigeul[train]', or give a model that "
            "'sorigeul export' wrote"
        )
    from sorigeul.pretrained.loading import load_pretrained
    from sorigeul.recognition.torch_engine import default_device

    return load_pretrained(source, device or default_device())


def device_of(pretrained: PretrainedModel) -> torch.device | None:
    """Where a model of PyTorch is; None for an export."""
    if exported_model(pretrained) is not None:
        return None
    return next(pretrained.model.parameters()).device


def with_own_language_model(source: str | Path, request: SearchRequest) -> SearchRequest:
    """The request with the language model that an export has, unless it asks for others."""
    own = Path(source) / LANGUAGE_MODEL
    if request.lm or not is_export(source) or not own.is_dir():
        return request
    return replace(request, lm=(str(own),))
