"""The listener: batch normalisation without padding, convolutions, the pyramid, its frames."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.listener import BatchNorm2d, PyramidalRNN

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]

# Batch normalisation


def norms(channels: int = 6) -> tuple[BatchNorm2d, nn.BatchNorm2d]:
    """Ours and PyTorch's with the same weights."""
    theirs = nn.BatchNorm2d(channels)
    nn.init.uniform_(theirs.weight, 0.5, 2)
    nn.init.normal_(theirs.bias)
    ours = BatchNorm2d(channels)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def joined(hidden: Tensor, lengths: list[int]) -> Tensor:
    """The valid frames of (B, C, T, F) after each other (1, C, the sum of T, F)."""
    rows = zip(hidden, lengths, strict=True)
    return torch.cat([row[:, :length] for row, length in rows], 1).unsqueeze(0)


@pytest.mark.parametrize("lengths", [[9, 4, 12, 1], [3, 3, 3, 3], [12, 12, 12, 11]], ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_batch_normalisation_is_that_of_the_valid_frames(
    lengths: list[int], layout: torch.memory_format
) -> None:
    torch.manual_seed(7)
    ours, theirs = norms()
    for _ in range(3):  # the running statistics move on from where they are
        values = (2 + 3 * torch.randn(4, 6, 12, 5)).contiguous(memory_format=layout)
        weights = torch.randn(4, 6, 12, 5)  # not zero on the padding
        hidden = values.clone().requires_grad_()
        outputs = ours(hidden * 1, lengths)
        (outputs * weights).sum().backward()

        reference = values.clone().requires_grad_()
        expected = theirs(joined(reference, lengths))
        (expected * joined(weights, lengths)).sum().backward()

        torch.testing.assert_close(joined(outputs, lengths), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(hidden.grad, reference.grad, rtol=1e-4, atol=1e-5)
        for name, parameter in theirs.named_parameters():
            found = ours.get_parameter(name).grad
            torch.testing.assert_close(found, parameter.grad, rtol=1e-4, atol=1e-4)
        for row, length in enumerate(lengths):
            assert not outputs[row, :, length:].any()
    for name, buffer in theirs.named_buffers():
        torch.testing.assert_close(ours.get_buffer(name), buffer, rtol=1e-5, atol=1e-6)


def test_batch_normalisation_with_and_without_the_detour() -> None:
    """A batch that fills its tensor takes PyTorch's own path: the numbers are the same."""
    torch.manual_seed(7)
    detour, plain = norms()
    hidden = torch.rand(4, 6, 12, 5) * 20  # what the activation before it lets through
    first, second = hidden.clone().requires_grad_(), hidden.clone().requires_grad_()
    weights = torch.randn_like(hidden)
    outputs, expected = detour(first * 1, [12] * 4), plain(second)
    (outputs * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(first.grad, second.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(detour.running_var, plain.running_var, rtol=1e-5, atol=1e-5)


def test_batch_normalisation_of_the_padding_does_not_matter() -> None:
    torch.manual_seed(7)
    lengths = [9, 4, 12, 1]
    hidden = torch.randn(4, 6, 12, 5)
    other = hidden.clone()
    for row, length in enumerate(lengths):
        other[row, :, length:] = 20.0
    ours, twin = norms()[0], norms()[0]
    twin.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(hidden, lengths), twin(other, lengths), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.running_var, twin.running_var, rtol=1e-4, atol=1e-4)


def test_batch_normalisation_in_evaluation_uses_what_it_has_seen() -> None:
    torch.manual_seed(7)
    ours, theirs = norms()
    lengths = [9, 4, 12, 1]
    hidden = torch.randn(4, 6, 12, 5)
    ours(hidden, lengths)
    before = ours.running_mean.clone()
    theirs.load_state_dict(ours.state_dict())
    outputs = ours.eval()(hidden, lengths)
    assert torch.equal(joined(outputs, lengths), joined(theirs.eval()(hidden), lengths))
    assert not outputs[1, :, 4:].any()
    assert torch.equal(ours.running_mean, before)


@pytest.mark.parametrize("lengths", [[9, 4, 12, 1], [12, 12, 12, 12]], ids=str)
def test_batch_normalisation_that_does_not_count_is_the_same(lengths: list[int]) -> None:
    torch.manual_seed(7)
    once, again = norms()[0], norms()[0]
    again.load_state_dict(once.state_dict())
    before = again.running_mean.clone(), again.running_var.clone()
    again.counting = False
    hidden = torch.randn(4, 6, 12, 5)
    padded = lengths if min(lengths) < 12 else None
    assert torch.equal(once(hidden.clone(), padded), again(hidden.clone(), padded))
    assert torch.equal(again.running_mean, before[0])
    assert torch.equal(again.running_var, before[1])
    assert (int(once.num_batches_tracked), int(again.num_batches_tracked)) == (1, 0)
    assert not torch.equal(once.running_mean, before[0])


def test_a_row_without_frames_counts_nothing(tiny: Tiny, utterances: Utterances) -> None:
    """Such as that of a process that has no utterance, but must keep step with the others."""
    features, lengths = utterances(40, 21)
    statistics = []
    for rows in (2, 3):
        listener = tiny().listener.train()
        silence = torch.zeros(rows, 40, 8)
        silence[:2] = features
        given = torch.tensor([*lengths.tolist(), 0])[:rows]
        heard, _ = listener.convolve(silence, given)
        heard[:2].sum().backward()
        norm, weight = listener.conv[2], listener.conv[0].weight
        statistics.append((norm.running_mean, norm.running_var, weight.grad, heard[0].detach()))
    for without, beside in zip(*statistics, strict=True):
        torch.testing.assert_close(without, beside, rtol=1e-3, atol=1e-3)


# Convolutions


@pytest.mark.parametrize("frames", [4, 5, 21, 22, 23, 24])
def test_convolutions_of_one_utterance_are_the_printed_stages(
    tiny: Tiny, utterances: Utterances, frames: int
) -> None:
    listener = tiny().listener
    features, lengths = utterances(frames)
    with torch.no_grad():
        hidden, after = listener.convolve(features, lengths)
        expected = listener.conv(features.unsqueeze(1))  # (1, C, T, F)
    assert hidden.shape == (1, frames // 4, 2 * 8)
    assert after.tolist() == [frames // 4]
    torch.testing.assert_close(hidden.view(1, frames // 4, 2, 8).permute(0, 3, 1, 2), expected)


def test_training_sees_the_same_convolutions_in_a_padded_batch(
    tiny: Tiny, utterances: Utterances
) -> None:
    """Statistics of three utterances, with and without padding behind the longest."""
    features, lengths = utterances(24, 24, 24)
    padded = nn.functional.pad(features, (0, 0, 0, 9))
    plain, detour = (tiny(dropout=0.0).train().listener for _ in range(2))
    expected, _ = plain.convolve(features, lengths)
    hidden, _ = detour.convolve(padded, lengths)
    torch.testing.assert_close(hidden[:, :6], expected, rtol=1e-3, atol=1e-4)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (hidden[:, :6] * weights).sum().backward()
    for (name, ours), (_, theirs) in zip(
        detour.conv.named_parameters(), plain.conv.named_parameters(), strict=True
    ):
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=2e-3, atol=2e-3, msg=name)


# The pyramid


def test_pyramid_joins_neighbours_and_pairs_an_odd_one_with_zeros() -> None:
    torch.manual_seed(8)
    stack = PyramidalRNN(LASConfig(hidden_size=3, dropout=0.0), num_layers=1)
    inputs = torch.randn(1, 5, 6)  # the width of two directions of three
    outputs, lengths = stack(inputs, torch.tensor([5]))
    full = torch.cat((inputs, torch.zeros(1, 1, 6)), dim=1)[0]
    pairs = torch.stack([torch.cat((full[n], full[n + 1])) for n in (0, 2, 4)]).unsqueeze(0)
    torch.testing.assert_close(outputs, stack.rnn(pairs)[0])
    assert lengths.tolist() == [3]


@pytest.mark.parametrize(
    ("changes", "shrinks"),
    [
        ({"use_pyramidal": False}, [4]),
        ({"time_reduction": 8}, [4, 8]),
        ({"time_reduction": 16}, [4, 8, 16]),
    ],
    ids=str,
)
@pytest.mark.parametrize("two_way", [True, False])
def test_lengths_of_every_stack(
    tiny: Tiny, utterances: Utterances, changes: dict[str, Any], shrinks: list[int], two_way: bool
) -> None:
    listener = tiny(use_bidirectional=two_way, **changes).listener
    counts = (4, 37, 40, 61)
    outputs = listener(*utterances(*counts, frames=70))
    assert len(outputs) == len(shrinks)
    for (frames, lengths), shrink in zip(outputs, shrinks, strict=True):
        # Convolutions drop an incomplete group of four; the pyramid pads an incomplete pair.
        assert lengths.tolist() == [-(-(count // 4) // (shrink // 4)) for count in counts]
        assert frames.shape[0::2] == (4, 16 if two_way else 8)
        for row, length in enumerate(lengths.tolist()):
            assert frames[row, :length].any(1).all()
            assert not frames[row, length:].any()


@pytest.mark.parametrize(
    ("layers", "changes", "sizes"),
    [
        (5, {}, [2, 2, 1]),
        (3, {}, [1, 1, 1]),
        (4, {"time_reduction": 8}, [2, 2]),
        (5, {"use_pyramidal": False}, [5]),
    ],
    ids=str,
)
def test_layers_are_shared_out_from_the_bottom(
    tiny: Tiny, layers: int, changes: dict[str, Any], sizes: list[int]
) -> None:
    listener = tiny(listener_layer_size=layers, **changes).listener
    stacks = [each for each in listener.modules() if isinstance(each, nn.RNNBase)]
    assert [stack.num_layers for stack in stacks] == sizes


@pytest.mark.parametrize(("bands", "width"), [(80, 2_560), (128, 4_096), (83, 2_560)])
def test_the_first_recurrent_layer_follows_the_mel_bands(bands: int, width: int) -> None:
    with torch.device("meta"):
        listener = ListenAttendSpell(LASConfig.seed(n_mels=bands)).listener
    assert listener.bottom_rnn.input_size == width


def test_one_way_listens_forward_only(tiny: Tiny, utterances: Utterances) -> None:
    """What comes late changes nothing early, beyond the reach of the convolutions."""
    features, lengths = utterances(64)
    later = features.clone()
    later[:, 48:] += 1.0
    for two_way in (False, True):
        listener = tiny(use_bidirectional=two_way, use_pyramidal=False).listener
        with torch.no_grad():
            (before, _), (after, _) = listener(features, lengths)[0], listener(later, lengths)[0]
        assert torch.equal(before[:, :8], after[:, :8]) is not two_way
        assert not torch.allclose(before[:, 13:], after[:, 13:])
