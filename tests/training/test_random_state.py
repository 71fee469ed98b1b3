"""The state of the random generators, saved in a checkpoint and restored."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sorigeul.training import checkpoints
from sorigeul.training.random_state import random_state, restore_random_state


def draws() -> list[Any]:
    return [
        random.random(),
        random.gauss(),
        float(np.random.rand()),
        float(np.random.randn()),
        *torch.rand(3).tolist(),
        *torch.randn(3).tolist(),
    ]


def test_taking_the_state_draws_nothing() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    random_state()
    assert torch.equal(torch.rand(3), expected)


def test_draws_continue_from_a_restored_state(tmp_path: Path) -> None:
    random.gauss()  # draws two numbers at once and keeps one, which belongs to the state
    np.random.randn()
    checkpoints.save_checkpoint(tmp_path, 1, random_state())
    expected = draws()
    assert draws() != expected
    state = checkpoints.latest_checkpoint(tmp_path)
    assert state is not None
    restore_random_state(state)
    assert draws() == expected
