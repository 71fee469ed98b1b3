"""A checksum of named numbers, by which a damaged file of weights is told from a whole one."""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def checksum(content: Mapping[str, npt.NDArray[Any]]) -> str:
    """CRC-32 of arrays of bytes (n,) under their names, whatever their order; eight hex digits."""
    result = 0
    for name in sorted(content):
        result = zlib.crc32(name.encode(), result)
        result = zlib.crc32(np.ascontiguousarray(content[name]).data, result)
    return f"{result:08x}"


def check(content: Mapping[str, npt.NDArray[Any]], expected: str | None) -> None:
    """Raise ValueError if the content is not what it was written as; None: that is not known."""
    if expected is not None and checksum(content) != expected:
        raise ValueError("its checksum is another")
