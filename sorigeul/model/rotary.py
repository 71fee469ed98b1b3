"""Rotary positions: queries and keys are turned, so that their products depend on their distance.

Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", equation 34.
"""

import torch
from torch import Tensor

from sorigeul.model.config import ROTARY_BASE

Rotation = tuple[Tensor, Tensor]
"""cosines and sines of each position and each pair of channels (S, D / 2)"""


def rotation(positions: Tensor, width: int) -> Rotation:
    """Positions (S,), the width D of a head -> how vectors at them are turned."""
    angles = positions.unsqueeze(1) * frequencies(width).to(positions.device)
    return angles.cos(), angles.sin()


def frequencies(width: int) -> Tensor:
    """By how much each pair of channels is turned from one position to the next (D / 2,)."""
    return ROTARY_BASE ** -(torch.arange(0, width, 2) / width)


def rotate(vectors: Tensor, turned: Rotation) -> Tensor:
    """Vectors (..., S, D), their halves turned against each other; keeps their dtype."""
    first, second = vectors.chunk(2, dim=-1)
    cosine, sine = turned
    halves = first * cosine - second * sine, first * sine + second * cosine
    return torch.cat(halves, dim=-1).to(vectors.dtype)
