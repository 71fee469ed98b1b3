"""Outlines of networks: shapes without memory, whatever sizes a configuration claims."""

import pytest
import torch
from torch import nn

from sorigeul.base.errors import UserError
from sorigeul.base.outline import have_shapes_of, refuse_too_large

CPU = torch.device("cpu")


def huge() -> nn.Module:
    return nn.Sequential(nn.Embedding(10**9, 10**6), nn.GRU(10**6, 10**6))


def small() -> nn.Module:
    return nn.Linear(3, 2)


def test_weights_fit_the_network_of_their_names_and_shapes_only() -> None:
    weights = small().state_dict()
    assert have_shapes_of(weights, small)
    assert not have_shapes_of(weights, huge)
    assert not have_shapes_of(weights | {"bias": torch.zeros(3)}, small)
    assert not have_shapes_of({"weight": weights["weight"]}, small)


def test_what_no_machine_can_train_is_refused_with_what_it_would_take() -> None:
    refuse_too_large(small, CPU, "width")
    with pytest.raises(UserError) as error:
        refuse_too_large(huge, CPU, "width")
    assert str(error.value).startswith(
        "a model of 1,006,000,006,000,000 parameters takes at least 14,990,568 GiB of memory"
    )
    assert str(error.value).endswith(": lower width")


def test_random_numbers_are_not_drawn_for_an_outline() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    refuse_too_large(small, CPU, "width")
    assert torch.equal(torch.rand(3), expected)
