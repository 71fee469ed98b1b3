"""Weights in eight bits, with one scale a row: what `--int8` stores.

A row has the weights of one output, so a row of small weights keeps its precision beside one of
large weights. The arithmetic stays in float32.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

_LARGEST = 127  # of eight bits, the same on both sides of zero
_MIN_COLUMNS = 8

Floats = npt.NDArray[np.float32]


def should_round(shape: Sequence[int]) -> bool:
    """Whether a weight of this shape is a matrix whose rows are worth a scale."""
    return len(shape) > 1 and int(np.prod(shape[1:])) >= _MIN_COLUMNS


def rounded_rows(matrix: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """A matrix (R, D) -> whole numbers from -127 to 127 (R, D), and the scale of each row (R,).

    The matrix is about their product; a matrix that has been rounded before is exactly that.
    """
    largest = np.abs(matrix).max(axis=1)
    scales = np.where(largest > 0, largest / np.float32(_LARGEST), 1).astype(np.float32)
    numbers = np.rint(matrix / scales[:, None]).astype(np.int8)
    return numbers, scales


def rounded_weights(weights: Mapping[str, Floats]) -> dict[str, Floats]:
    """Weights by name, where each matrix has the values that it has in eight bits."""
    rounded = dict(weights)
    for name, array in weights.items():
        if should_round(array.shape):
            numbers, scales = rounded_rows(array.reshape(len(array), -1))
            rounded[name] = (numbers * scales[:, None]).reshape(array.shape)
    return rounded
