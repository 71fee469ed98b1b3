"""Weights in eight bits: one scale a row, exact the second time."""

import numpy as np
from helpers.listener_outputs import Tiny

from sorigeul.exporting.row_rounding import rounded_rows, rounded_weights


def test_a_row_is_rounded_by_its_own_scale() -> None:
    """So a row of small weights beside one of large ones keeps two digits."""
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(6, 40)).astype(np.float32)
    matrix *= np.array([1, 1e-4, 10, 0, 1e3, 1], np.float32)[:, None]
    numbers, scales = rounded_rows(matrix)
    assert numbers.dtype == np.int8
    assert numbers.min() >= -127
    error = np.abs(numbers * scales[:, None] - matrix)
    assert np.all(error <= 0.51 * np.abs(matrix).max(1, keepdims=True) / 127)
    assert not numbers[3].any()


def test_what_is_rounded_stays_as_it_is_when_it_is_rounded_again() -> None:
    matrix = np.random.default_rng(1).normal(size=(50, 30)).astype(np.float32)
    numbers, scales = rounded_rows(matrix)
    again, same_scales = rounded_rows(numbers * scales[:, None])
    assert np.array_equal(numbers, again)
    np.testing.assert_allclose(scales, same_scales, rtol=1e-6)


def test_vectors_of_a_model_are_left_alone(tiny: Tiny) -> None:
    model = tiny(hidden_size=16)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    rounded = rounded_weights(weights)
    changed = {name for name in weights if not np.array_equal(weights[name], rounded[name])}
    assert "speller.out.weight" in changed
    assert "listener.bottom_rnn.weight_hh_l0" in changed
    assert not any(name.endswith("bias") or "bias_" in name for name in changed)
