"""Tensors in a safetensors file, which is never read through pickle: a model cannot run code.

Weights that are not finite are neither written nor read: a model with them recognises nothing.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sorigeul.base.checksums import check, checksum
from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing
from sorigeul.base.weight_arrays import CHECKSUM, METADATA


def write_weights(
    path: Path, weights: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors, with metadata, atomically: the same ones give the same bytes.

    Raises OSError if they cannot be written, and UserError if they are not finite.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    if (name := not_finite(weights)) is not None:
        raise UserError(
            f"{path} is not written, since {name} has values that are not finite: the training "
            "has diverged; lower lr, and look for recordings with impossible samples"
        )
    content = {**(metadata or {}), CHECKSUM: checksum(_bytes(weights))}
    texts = {METADATA: json.dumps(content, sort_keys=True)}
    with replacing(path) as temporary:
        try:
            save_file(weights, temporary, texts)
        except SafetensorError as error:  # safetensors' name for an I/O error
            raise OSError(f"{path} could not be written: {error}") from error


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors in a file, memory-mapped, and its metadata.

    Raises UserError if it cannot be read, is damaged, or holds values that are not finite.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: copy the whole folder of the model")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
        weights: dict[str, Tensor] = load_file(path)
        if METADATA in metadata:
            metadata = json.loads(metadata[METADATA])
            check(_bytes(weights), metadata.pop(CHECKSUM, None))
            if not all(isinstance(value, str) for value in metadata.values()):
                raise ValueError("its metadata are not texts")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    except (SafetensorError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): copy it again") from error
    if (name := not_finite(weights)) is not None:
        raise UserError(
            f"{path} is of no use: its {name} has values that are not finite, as after a training "
            "that has diverged"
        )
    return weights, metadata


def _bytes(weights: Mapping[str, Tensor]) -> dict[str, "npt.NDArray[np.uint8]"]:
    """The bytes of each tensor on the CPU (n,)."""
    # An empty one may have strides that no view accepts.
    return {
        name: tensor.reshape(-1).view(torch.uint8).numpy()
        if tensor.numel()
        else np.zeros(0, np.uint8)
        for name, tensor in weights.items()
    }


def not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with a value that is infinite or not a number, if any is."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and tensor.numel() and not _largest(tensor).isfinite():
            return name
    return None


def _largest(tensor: Tensor) -> Tensor:
    """The largest magnitude; not a number if one of the values is none. In a single pass."""
    smallest, largest = torch.aminmax(tensor.detach().float())
    return torch.maximum(smallest.abs(), largest.abs())
