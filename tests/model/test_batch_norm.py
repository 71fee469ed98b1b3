"""Batch normalisation of padded batches equals PyTorch's over the valid frames."""

import pytest
import torch
from torch import Tensor, nn

from sorigeul.model.batch_norm import BatchNorm2d, _padding_mask

LENGTHS = [9, 4, 12, 1]
ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def build_pair(channels: int = 6, device: str = "cpu") -> tuple[BatchNorm2d, nn.BatchNorm2d]:
    """Our layer and PyTorch's with the same weights."""
    reference = nn.BatchNorm2d(channels)
    nn.init.uniform_(reference.weight, 0.5, 2)
    nn.init.normal_(reference.bias)
    ours = BatchNorm2d(channels)
    ours.load_state_dict(reference.state_dict())
    return ours.to(device), reference.to(device)


def build_twins() -> tuple[BatchNorm2d, BatchNorm2d]:
    """Two of our layers with the same weights."""
    first, second = build_pair()[0], build_pair()[0]
    second.load_state_dict(first.state_dict())
    return first, second


def concatenate_valid(hidden: Tensor, lengths: list[int]) -> Tensor:
    """The valid frames of (B, C, T, F), concatenated (1, C, sum of lengths, F)."""
    rows = zip(hidden, lengths, strict=True)
    return torch.cat([row[:, :length] for row, length in rows], 1).unsqueeze(0)


@pytest.mark.parametrize("lengths", [LENGTHS, [3, 3, 3, 3], [12, 12, 12, 11]], ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=ON_A_GPU)])
def test_only_valid_frames_are_normalised(
    lengths: list[int], layout: torch.memory_format, device: str
) -> None:
    torch.manual_seed(7)
    ours, reference = build_pair(device=device)
    for _ in range(3):  # the running statistics are updated three times
        values = (2 + 3 * torch.randn(4, 6, 12, 5)).to(device).contiguous(memory_format=layout)
        weights = torch.randn(4, 6, 12, 5).to(device)  # not zero in the padding
        hidden = values.clone().requires_grad_()
        outputs = ours(hidden * 1, lengths)
        (outputs * weights).sum().backward()

        reference_hidden = values.clone().requires_grad_()
        expected = reference(concatenate_valid(reference_hidden, lengths))
        (expected * concatenate_valid(weights, lengths)).sum().backward()

        valid_outputs = concatenate_valid(outputs, lengths)
        torch.testing.assert_close(valid_outputs, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(hidden.grad, reference_hidden.grad, rtol=1e-4, atol=1e-5)
        for name, parameter in reference.named_parameters():
            gradient = ours.get_parameter(name).grad
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-4)
        for row, length in enumerate(lengths):
            assert not outputs[row, :, length:].any()
    for name, buffer in reference.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), buffer, rtol=1e-5, atol=1e-6)


def test_the_mask_for_gpus_covers_the_padding() -> None:
    mask = _padding_mask(torch.zeros(4, 6, 12, 5), LENGTHS)
    assert mask.shape == (4, 1, 12, 1)
    assert [int(row.sum()) for row in mask] == [12 - length for length in LENGTHS]
    assert not mask[0, 0, : LENGTHS[0]].any()


def test_a_batch_without_padding_gives_the_same_as_pytorch() -> None:
    """With `lengths` it is computed as a padded batch, but the result is the same."""
    torch.manual_seed(7)
    ours, reference = build_pair()
    values = torch.rand(4, 6, 12, 5) * 20  # the range of the activation before the layer
    hidden, reference_hidden = values.clone().requires_grad_(), values.clone().requires_grad_()
    weights = torch.randn_like(values)
    outputs, expected = ours(hidden * 1, [12] * 4), reference(reference_hidden)
    (outputs * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(hidden.grad, reference_hidden.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.running_var, reference.running_var, rtol=1e-5, atol=1e-5)


def test_the_values_of_the_padding_do_not_matter() -> None:
    torch.manual_seed(7)
    hidden = torch.randn(4, 6, 12, 5)
    other = hidden.clone()
    for row, length in enumerate(LENGTHS):
        other[row, :, length:] = 20.0
    first, second = build_twins()
    torch.testing.assert_close(first(hidden, LENGTHS), second(other, LENGTHS), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(first.running_var, second.running_var, rtol=1e-4, atol=1e-4)


def test_evaluation_uses_the_running_statistics() -> None:
    torch.manual_seed(7)
    ours, reference = build_pair()
    hidden = torch.randn(4, 6, 12, 5)
    ours(hidden, LENGTHS)
    before = ours.running_mean.clone()
    reference.load_state_dict(ours.state_dict())
    outputs = ours.eval()(hidden, LENGTHS)
    expected = reference.eval()(hidden)
    assert torch.equal(concatenate_valid(outputs, LENGTHS), concatenate_valid(expected, LENGTHS))
    assert not outputs[1, :, 4:].any()
    assert torch.equal(ours.running_mean, before)


@pytest.mark.parametrize("lengths", [LENGTHS, [12, 12, 12, 12]], ids=str)
def test_without_counting_only_the_running_statistics_differ(lengths: list[int]) -> None:
    torch.manual_seed(7)
    counting, not_counting = build_twins()
    before = not_counting.running_mean.clone(), not_counting.running_var.clone()
    not_counting.counting = False
    hidden = torch.randn(4, 6, 12, 5)
    lengths_if_padded = lengths if min(lengths) < 12 else None
    outputs = counting(hidden.clone(), lengths_if_padded)
    assert torch.equal(outputs, not_counting(hidden.clone(), lengths_if_padded))
    assert torch.equal(not_counting.running_mean, before[0])
    assert torch.equal(not_counting.running_var, before[1])
    assert int(counting.num_batches_tracked) == 1
    assert int(not_counting.num_batches_tracked) == 0
    assert not torch.equal(counting.running_mean, before[0])
