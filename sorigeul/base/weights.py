"""Tensors in a safetensors file, which is never read through pickle: a model cannot run code."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from sorigeul.base.files import replacing


def write_weights(
    path: Path, weights: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors, with metadata, atomically. Raises OSError if they cannot be written."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    with replacing(path) as temporary:
        try:
            save_file(weights, temporary, dict(metadata or {}))
        except SafetensorError as error:  # safetensors' name for an I/O error
            raise OSError(f"{path} could not be written: {error}") from error
