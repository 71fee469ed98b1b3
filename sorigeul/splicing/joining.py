"""Joins pieces of sound to one."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from sorigeul.sound.audio import Samples

_FADE = 80  # samples, 5 ms: no click, and too short to take a sound away


def join(pieces: Sequence[Samples]) -> Samples:
    """Pieces (n,) at 16 kHz, one after another, faded out and in where they meet -> (N,)."""
    faded = [piece.copy() for piece in pieces]
    for before, after in pairwise(faded):
        ramp = np.linspace(0, 1, min(_FADE, len(before), len(after)), dtype=np.float32)
        before[len(before) - len(ramp) :] *= ramp[::-1]
        after[: len(ramp)] *= ramp
    return np.concatenate(faded)
