"""A graph of ONNX in memory, ready to be computed. Loads no library for graphs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True)
class Graph:
    """A graph whose large constants lie beside it, since to write them into it copies them."""

    structure: bytes
    """a file of ONNX, which says that the large constants are elsewhere"""
    constants: Mapping[str, npt.NDArray[Any]]
    """those constants by their names in the graph"""
