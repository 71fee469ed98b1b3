"""The run folder: publish and load a model, save and find the state of a run.

Knows files and tensors; nothing of audio, batches or how a model is trained. A published model is
three files that need nothing but this package, and are never read through pickle.
"""

import random
from typing import Any

import numpy as np
import torch

# Chance.


def random_state() -> dict[str, Any]:
    """The state of every random generator in use, as plain values and tensors."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (str(name), np.asarray(keys).tolist(), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        # Of this process's own GPU: the next run may see others.
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Undo whatever was drawn since `random_state`."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"])
