"""The arrays of NumPy in a safetensors file, memory-mapped: processes share what they hold.

For what computes without PyTorch; `weights` reads tensors, and writes.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigeul.base.checksums import check
from sorigeul.base.errors import UserError

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
}
METADATA = "sorigeul"
"""the only key of our metadata: safetensors writes several in another order each time"""
CHECKSUM = "crc32"
"""among our metadata, what `checksum` gives for the numbers; older files have none"""
_LONGEST_HEADER = 100_000_000  # bytes, as in the format's own library


def read_arrays(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    """The arrays in a safetensors file by name, and its metadata; changes stay in memory.

    The format is a header of JSON, after its length in eight bytes, and then the numbers. Raises
    UserError if it cannot be read, is damaged, or holds values that are not finite.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: copy the whole folder of the model")
    try:
        arrays, metadata = _mapped(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): copy it again") from error
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UserError(
                f"{path} is of no use: its {name} has values that are not finite, as after a "
                "training that has diverged"
            )
    return arrays, metadata


def _check_places(header: dict[str, Any], size: int) -> None:
    """Raise ValueError unless the arrays lie one after another, and fill so many bytes."""
    places = [entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"]
    ends = sorted(map(tuple, places))
    begins = [0, *(last for _, last in ends)]
    if begins[-1] > size:
        raise ValueError("it is cut off")
    in_order = all(
        begin == first <= last for begin, (first, last) in zip(begins[:-1], ends, strict=True)
    )
    shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
    if not in_order or begins[-1] != size or any(length < 0 for one in shapes for length in one):
        raise ValueError("its arrays do not fill it")


def _mapped(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, str]]:
    content = np.memmap(path, np.uint8, "c")  # "r" would make PyTorch complain
    length = int(content[:8].view("<u8")[0]) if len(content) >= 8 else len(content)
    if length > min(len(content) - 8, _LONGEST_HEADER):
        raise ValueError("it is cut off")
    header = json.loads(bytes(content[8 : 8 + length]))
    numbers = content[8 + length :]
    _check_places(header, len(numbers))
    arrays: dict[str, npt.NDArray[Any]] = {}
    places: dict[str, npt.NDArray[Any]] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, last = entry["data_offsets"]
        places[name] = numbers[first:last].view(np.ndarray)
        if entry["dtype"] == "BF16":  # the upper half of a float32, and unknown to NumPy
            numbers_32 = places[name].view("<u2").astype("<u4") << 16
            arrays[name] = numbers_32.view("<f4").reshape(entry["shape"])
            continue
        # Copied if its place in the file is not a multiple of its size, which writers avoid.
        dtype = np.dtype(_TYPES[entry["dtype"]])
        arrays[name] = places[name].view(dtype).reshape(entry["shape"])
    metadata = header.get("__metadata__", {})
    if METADATA in metadata:
        metadata = json.loads(metadata[METADATA])
        check(places, metadata.pop(CHECKSUM, None))
    if not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("its metadata are not texts")
    return arrays, metadata
