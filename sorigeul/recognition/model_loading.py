"""Loading a model that is to recognise: a run, a model of the hub, or an export.

On a CPU, ONNX Runtime computes what it can: it starts in a third of the time that PyTorch takes,
and recognises up to twice as fast (BENCHMARKS.md, "Shipped").
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from sorigeul.base.capacity import may_have_gpu
from sorigeul.base.errors import UserError
from sorigeul.base.hub import find_model_folder
from sorigeul.exporting.runtime import (
    LANGUAGE_MODEL,
    LISTENER,
    SPELLER,
    is_export,
    load_export,
    onnx_model,
    require_onnx_runtime,
)
from sorigeul.lm.loading import needs_pytorch
from sorigeul.pretrained.description import (
    CONFIG,
    EXPORT,
    VOCABULARY,
    WEIGHTS,
    PretrainedModel,
    describe_pretrained,
)
from sorigeul.pretrained.search_settings import SEARCH
from sorigeul.search.options import NO_LM, Precision, SearchRequest

if TYPE_CHECKING:
    import torch


EngineChoice = Literal["auto", "torch"]
"""what computes a run: ONNX Runtime where it can, else PyTorch; or always PyTorch"""

_PUBLISHED = (CONFIG, VOCABULARY, WEIGHTS, SEARCH)
_EXPORTED = (EXPORT, LISTENER, SPELLER, f"{LANGUAGE_MODEL}/*")


def find_model(source: str | Path) -> Path:
    """The folder of a model: a run, an export, or one of the hub, which is downloaded.

    Raises UserError if `source` is none of these.
    """
    return find_model_folder(source, "a run folder", (*_PUBLISHED, *_EXPORTED))


def load_model(
    source: str | Path,
    request: SearchRequest,
    precision: Precision = "float32",
    device: torch.device | str | None = None,
    engine: EngineChoice = "auto",
) -> PretrainedModel:
    """Load a model from a run folder, from the hub by its id, or from the folder of an export.

    It is loaded for what can search as `request` asks at that `precision`. Without a `device` it
    goes on a GPU if there is one. Raises UserError if there is no such model, or a damaged one.
    """
    if engine not in get_args(EngineChoice) or precision not in get_args(Precision):
        raise ValueError(f"there is no engine {engine} with a precision {precision}")
    folder = find_model(source)
    if is_export(folder):
        return load_export(folder)
    reason = "this command" if engine == "torch" else _why_pytorch(folder, request, precision)
    if not reason and device is not None and str(device).partition(":")[0] != "cpu":
        reason = f"the device {device}"
    if reason or (device is None and _gpu_at_hand()):
        return _load_with_pytorch(folder, device, str(source), reason)
    return _load_graphs(folder)


def load_beside(source: str | Path, pretrained: PretrainedModel) -> PretrainedModel:
    """Load a model that is computed together with one that is loaded, and where that is."""
    folder, device = find_model(source), device_of(pretrained)
    if is_export(folder):
        return load_export(folder)
    if device is None:
        if describe_pretrained(folder).config.is_pretrained:
            raise UserError(
                f"{source} has a pretrained listener, which PyTorch computes, and an export is "
                "computed without it: give the run that the export was made of"
            )
        return _load_graphs(folder)
    from sorigeul.pretrained.loading import load_pretrained

    return load_pretrained(folder, device)


def _why_pytorch(folder: Path, request: SearchRequest, precision: Precision) -> str:
    """What of a run, and of what is asked for, only PyTorch computes; empty if nothing."""
    if precision != "float32":
        return f"the precision {precision}"
    if request.rescore:
        return "--rescore"
    for source in request.lm:
        if needs_pytorch(source):
            return f"the language model {source}, which is no n-gram model"
    for member in (folder, *map(find_model, request.ensemble)):
        if not is_export(member) and describe_pretrained(member).config.is_pretrained:
            return f"the pretrained listener of {member}"
    return ""


def _gpu_at_hand() -> bool:
    if "torch" not in sys.modules and not (may_have_gpu() and find_spec("torch")):
        return False
    from sorigeul.recognition.torch_engine import default_device

    return default_device() != "cpu"


def _load_graphs(folder: Path) -> PretrainedModel:
    require_onnx_runtime(folder)
    from sorigeul.exporting.run_graphs import load_run  # an export needs no library for graphs

    return load_run(folder)


def _load_with_pytorch(
    folder: Path, device: torch.device | str | None, source: str, reason: str
) -> PretrainedModel:
    if find_spec("torch") is None:
        raise UserError(f"{source} needs PyTorch for {reason}: pip install 'sorigeul[train]'")
    from sorigeul.pretrained.loading import load_pretrained
    from sorigeul.recognition.torch_engine import find_device

    return load_pretrained(folder, find_device(device))


def device_of(pretrained: PretrainedModel) -> torch.device | None:
    """Where a model of PyTorch is; None for one that is computed without it."""
    if onnx_model(pretrained) is not None:
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
