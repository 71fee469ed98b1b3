"""The listener: convolutions of padded batches, the pyramid, the lengths of its outputs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.listener import PyramidalRNN

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]

# Convolutions


def test_a_row_without_frames_does_not_change_statistics_or_gradients(
    tiny: Tiny, utterances: Utterances
) -> None:
    """A process without utterances calls the model with such a row, to stay in step with others."""
    features, lengths = utterances(40, 21)
    results = []
    for rows in (2, 3):
        listener = tiny().listener.train()
        rows_of_features = torch.zeros(rows, 40, 8)
        rows_of_features[:2] = features
        row_lengths = torch.tensor([*lengths.tolist(), 0])[:rows]
        hidden, _ = listener.convolve(rows_of_features, row_lengths)
        hidden[:2].sum().backward()
        norm, weight = listener.conv[2], listener.conv[0].weight
        results.append((norm.running_mean, norm.running_var, weight.grad, hidden[0].detach()))
    for without, with_empty_row in zip(*results, strict=True):
        torch.testing.assert_close(without, with_empty_row, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("frames", [4, 5, 21, 22, 23, 24])
def test_convolutions_of_one_utterance_are_the_printed_layers(
    tiny: Tiny, utterances: Utterances, frames: int
) -> None:
    listener = tiny().listener
    features, lengths = utterances(frames)
    with torch.no_grad():
        hidden, output_lengths = listener.convolve(features, lengths)
        expected = listener.conv(features.unsqueeze(1))  # (1, C, T, F)
    assert hidden.shape == (1, frames // 4, 2 * 8)
    assert output_lengths.tolist() == [frames // 4]
    torch.testing.assert_close(hidden.view(1, frames // 4, 2, 8).permute(0, 3, 1, 2), expected)


def test_padding_does_not_change_convolutions_in_training(
    tiny: Tiny, utterances: Utterances
) -> None:
    """Outputs and gradients of three utterances, with and without padding after the longest."""
    features, lengths = utterances(24, 24, 24)
    padded = nn.functional.pad(features, (0, 0, 0, 9))
    reference, listener = (tiny(dropout=0.0).train().listener for _ in range(2))
    expected, _ = reference.convolve(features, lengths)
    hidden, _ = listener.convolve(padded, lengths)
    torch.testing.assert_close(hidden[:, :6], expected, rtol=1e-3, atol=1e-4)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (hidden[:, :6] * weights).sum().backward()
    for name, parameter in reference.conv.named_parameters():
        assert parameter.grad is not None
        gradient = listener.conv.get_parameter(name).grad
        torch.testing.assert_close(gradient, parameter.grad, rtol=2e-3, atol=2e-3, msg=name)


# The pyramid


def test_the_pyramid_pairs_neighbours_and_an_odd_last_frame_with_zeros() -> None:
    torch.manual_seed(8)
    stack = PyramidalRNN(LASConfig(hidden_size=3, dropout=0.0), num_layers=1)
    inputs = torch.randn(1, 5, 6)  # two directions of hidden size 3
    outputs, lengths = stack(inputs, torch.tensor([5]))
    frames = torch.cat((inputs, torch.zeros(1, 1, 6)), dim=1)[0]
    pairs = torch.stack([torch.cat((frames[n], frames[n + 1])) for n in (0, 2, 4)]).unsqueeze(0)
    torch.testing.assert_close(outputs, stack.rnn(pairs)[0])
    assert lengths.tolist() == [3]


@pytest.mark.parametrize(
    ("changes", "reductions"),
    [
        ({"use_pyramidal": False}, [4]),
        ({"time_reduction": 8}, [4, 8]),
        ({"time_reduction": 16}, [4, 8, 16]),
    ],
    ids=str,
)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_lengths_of_every_stack(
    tiny: Tiny,
    utterances: Utterances,
    changes: dict[str, Any],
    reductions: list[int],
    bidirectional: bool,
) -> None:
    listener = tiny(use_bidirectional=bidirectional, **changes).listener
    counts = (4, 37, 40, 61)
    outputs = listener(*utterances(*counts, frames=70))
    assert len(outputs) == len(reductions)
    for (frames, lengths), reduction in zip(outputs, reductions, strict=True):
        # Convolutions drop an incomplete group of four; the pyramid pads an incomplete pair.
        assert lengths.tolist() == [-(-(count // 4) // (reduction // 4)) for count in counts]
        assert frames.shape[0::2] == (4, 16 if bidirectional else 8)
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
def test_lower_stacks_get_more_layers(
    tiny: Tiny, layers: int, changes: dict[str, Any], sizes: list[int]
) -> None:
    listener = tiny(listener_layer_size=layers, **changes).listener
    stacks = [module for module in listener.modules() if isinstance(module, nn.RNNBase)]
    assert [stack.num_layers for stack in stacks] == sizes


@pytest.mark.parametrize(("bands", "width"), [(80, 2_560), (128, 4_096), (83, 2_560)])
def test_the_width_of_the_first_recurrent_layer_depends_on_the_mel_bands(
    bands: int, width: int
) -> None:
    with torch.device("meta"):
        listener = ListenAttendSpell(LASConfig.seed(n_mels=bands)).listener
    assert listener.bottom_rnn.input_size == width


def test_without_bidirectional_layers_later_frames_change_no_earlier_output(
    tiny: Tiny, utterances: Utterances
) -> None:
    """Except for the outputs that the convolutions reach."""
    features, lengths = utterances(64)
    later = features.clone()
    later[:, 48:] += 1.0
    for bidirectional in (False, True):
        listener = tiny(use_bidirectional=bidirectional, use_pyramidal=False).listener
        with torch.no_grad():
            (before, _), (after, _) = listener(features, lengths)[0], listener(later, lengths)[0]
        assert torch.equal(before[:, :8], after[:, :8]) is not bidirectional
        assert not torch.allclose(before[:, 13:], after[:, 13:])
