"""What NumPy and PyTorch call differently computes the same in both."""

import numpy as np
import pytest
import torch

from sorigeul.base.arrays import (
    inference,
    largest,
    log_softmax,
    log_sum_exp,
    namespace,
    to_numpy,
)


@pytest.fixture
def scores() -> np.ndarray:
    """With infinities, and a row of nothing else."""
    numbers = np.random.default_rng(0).normal(size=(5, 12)) * 10
    numbers[1, 3:] = -np.inf
    numbers[2, 0] = -np.inf
    return numbers


@inference()
def test_softmax_and_sums_of_exponentials_are_those_of_pytorch(scores: np.ndarray) -> None:
    tensor = torch.from_numpy(scores)
    np.testing.assert_allclose(log_softmax(scores), log_softmax(tensor).numpy(), rtol=1e-12)
    scores[4] = -np.inf  # of which softmax makes nothing, but the sum is zero
    np.testing.assert_allclose(log_sum_exp(scores), log_sum_exp(tensor).numpy(), rtol=1e-12)


@pytest.mark.parametrize("count", [1, 3, 12])
def test_the_largest_come_in_order_with_their_places(scores: np.ndarray, count: int) -> None:
    values, places = largest(scores, count)
    expected, _ = largest(torch.from_numpy(scores), count)
    np.testing.assert_array_equal(values, expected.numpy())
    np.testing.assert_array_equal(np.take_along_axis(scores, places, axis=1), values)
    assert all(len(set(row)) == count for row in places.tolist())


def test_an_array_has_the_functions_of_its_own_kind() -> None:
    assert namespace(np.zeros(1)) is np
    assert namespace(torch.zeros(1)) is torch
    learning = torch.ones(2, requires_grad=True)
    assert to_numpy(2 * learning).tolist() == [2, 2]


def test_inference_records_no_gradient_and_takes_infinities_for_scores() -> None:
    weight = torch.ones(2, requires_grad=True)
    with np.errstate(all="raise"), inference():
        assert np.log(np.zeros(1))[0] == -np.inf
        assert not (2 * weight).requires_grad
    assert (2 * weight).requires_grad
