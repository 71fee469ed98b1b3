"""The Conformer listener: padding, positions, and that it stands in for the pyramid."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.model.config import LASConfig
from sorigeul.model.conformer import ConvolutionModule
from sorigeul.model.las import ListenAttendSpell

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]


@pytest.mark.parametrize(
    "changes", [{"use_pyramidal": False}, {"time_reduction": 8}, {"time_reduction": 16}], ids=str
)
def test_an_utterance_has_the_same_frames_alone_and_in_a_padded_batch(
    tiny: Tiny, utterances: Utterances, changes: dict[str, Any]
) -> None:
    model = tiny(listener="conformer", listener_layer_size=4, **changes)
    features, lengths = utterances(61, 38, 5, frames=80)
    with torch.no_grad():
        batch = model.listener(features, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone = model.listener(features[row : row + 1, :length], lengths[row : row + 1])
            for (frames, counts), (own, own_counts) in zip(batch, alone, strict=True):
                assert counts[row] == own_counts[0]
                torch.testing.assert_close(frames[row, : counts[row]], own[0], rtol=0, atol=1e-4)
                assert not frames[row, counts[row] :].any()


def test_each_stack_but_the_first_has_half_the_frames(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(listener="conformer", listener_layer_size=5, time_reduction=16)
    blocks = [len(stack.blocks) for stack in model.listener.stacks]
    stacks = model.listener(*utterances(61, 38))
    assert blocks == [2, 2, 1]
    assert [lengths.tolist() for _, lengths in stacks] == [[15, 9], [8, 5], [4, 3]]
    assert {frames.shape[2] for frames, _ in stacks} == {model.config.width}


def test_the_convolution_reads_seven_frames_to_either_side() -> None:
    torch.manual_seed(0)
    module = ConvolutionModule(8, dropout=0.0)
    hidden = torch.randn(1, 40, 8, requires_grad=True)
    module(hidden, torch.ones(1, 40, dtype=torch.bool))[0, 20].sum().backward()
    assert hidden.grad is not None
    reached = hidden.grad[0].abs().sum(1).nonzero().flatten().tolist()
    assert reached == list(range(13, 28))


def test_every_parameter_learns(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(listener="conformer", ctc_weight=0.3, dropout=0.1).train()
    output = model(*utterances(61, 38), torch.randint(0, 27, (2, 5)))
    (output.logits.sum() + output.ctc_logits.sum()).backward()
    without = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert not without


def test_half_precision_is_close(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(listener="conformer", listener_layer_size=4)
    features, lengths = utterances(61, 38)
    with torch.no_grad():
        (expected, _) = model.listener(features, lengths)[-1]
        with torch.autocast("cpu", torch.bfloat16):
            (frames, _) = model.listener(features, lengths)[-1]
    assert (frames.float() - expected).abs().mean() < 0.05 * expected.abs().mean()


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="listener is lstm, but must be one of pyramid, conformer"):
        LASConfig(listener="lstm")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="attention_heads is 4, but must be a divisor of half the"):
        LASConfig(listener="conformer", hidden_size=6, attention_heads=4)
