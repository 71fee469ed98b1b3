"""Checksums of named numbers and of files, by which what is damaged is told from what is whole."""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_BLOCK = 1 << 20  # bytes


def checksum(content: Mapping[str, npt.NDArray[Any]]) -> str:
    """CRC-32 of arrays of bytes (n,) under their names, whatever their order; eight hex digits."""
    result = 0
    for name in sorted(content):
        result = zlib.crc32(name.encode(), result)
        result = zlib.crc32(np.ascontiguousarray(content[name]).data, result)
    return f"{result:08x}"


def file_checksum(path: Path) -> str:
    """CRC-32 of a file, eight hex digits. Raises OSError if it cannot be read."""
    result = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            result = zlib.crc32(block, result)
    return f"{result:08x}"


def check(content: Mapping[str, npt.NDArray[Any]], expected: str | None) -> None:
    """Raise ValueError if the content is not what it was written as; None: that is not known."""
    if expected is not None and checksum(content) != expected:
        raise ValueError("its checksum is another")
