"""Rotary positions."""

import pytest
import torch

from sorigeul.model.rotary import rotate, rotation


def test_rotated_products_depend_on_the_distance_alone() -> None:
    """Su et al. 2021, equation 11: what rotary positions are for."""
    torch.manual_seed(0)
    query, key = torch.randn(2, 1, 8, dtype=torch.float64)

    def turned(vector: torch.Tensor, position: int) -> torch.Tensor:
        return rotate(vector, rotation(torch.tensor([float(position)]), 8))

    def product(at: int, other: int) -> float:
        return float((turned(query, at) * turned(key, other)).sum())

    assert product(3, 10) == pytest.approx(product(25, 32), rel=1e-5)
    assert product(3, 10) != pytest.approx(product(3, 11), rel=1e-3)
    assert float(turned(query, 7).norm()) == pytest.approx(float(query.norm()), rel=1e-6)


def test_the_first_position_is_not_turned_and_the_dtype_stays() -> None:
    vectors = torch.randn(2, 3, 5, 8).bfloat16()
    turned = rotate(vectors, rotation(torch.arange(5), 8))
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned[:, :, 0], vectors[:, :, 0])
    assert not torch.equal(turned[:, :, 1], vectors[:, :, 1])
