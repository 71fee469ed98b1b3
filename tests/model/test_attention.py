"""Each kind of attention follows its equation and ignores padding."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from sorigeul.model.attention import Attention
from sorigeul.model.config import ScoreFunction
from sorigeul.model.memory import Memory

KINDS = get_args(ScoreFunction)
WIDTH, HEADS = 8, 2
LENGTHS = torch.tensor([6, 40, 1])
VALID = torch.arange(45) < LENGTHS.unsqueeze(1)


def build_attention(kind: str) -> tuple[Attention, Tensor, Tensor]:
    """An attention, frames (3, 45, 8) with noise in the padding too, and a query (3, 5, 8)."""
    torch.manual_seed(9)
    attention = Attention(kind, WIDTH, HEADS)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return attention, torch.randn(3, 45, WIDTH), torch.randn(3, 5, WIDTH)


def test_there_are_five_kinds() -> None:
    assert KINDS == ("self", "dot", "additive", "location", "multi-head")


@pytest.mark.parametrize("kind", KINDS)
def test_alignments_sum_to_1_over_valid_frames_and_are_0_on_padding(kind: str) -> None:
    attention, frames, query = build_attention(kind)
    _, alignment = attention(query, attention.make_memory(frames, VALID))
    assert alignment.shape == (3, 5, 45)
    torch.testing.assert_close(alignment.sum(2), torch.ones(3, 5))
    assert (alignment >= 0).all()
    assert not alignment.transpose(1, 2)[~VALID].any()


@pytest.mark.parametrize("kind", KINDS)
def test_an_utterance_alone_gives_the_same_as_in_a_padded_batch(kind: str) -> None:
    attention, frames, query = build_attention(kind)
    merged, alignment = attention(query, attention.make_memory(frames, VALID))
    for row, length in enumerate(LENGTHS.tolist()):
        valid = torch.ones(1, length, dtype=torch.bool)
        memory = attention.make_memory(frames[row : row + 1, :length], valid)
        merged_alone, alignment_alone = attention(query[row : row + 1], memory)
        torch.testing.assert_close(merged_alone[0], merged[row], rtol=0, atol=1e-5)
        torch.testing.assert_close(
            alignment_alone[0], alignment[row, :, :length], rtol=0, atol=1e-5
        )


def expected_scores(attention: Attention, kind: str, query: Tensor, frames: Tensor) -> Tensor:
    """Scores (U, S) of one utterance by the published equations, one entry at a time."""
    named_parameters = attention.attention.named_parameters()
    weights = {name: parameter.detach() for name, parameter in named_parameters}

    def linear(name: str, vector: Tensor) -> Tensor:
        return weights[f"{name}.weight"] @ vector + weights.get(f"{name}.bias", torch.tensor(0.0))

    count = len(frames)
    previous = torch.full((count,), 1 / count)
    rows = []
    for step_query in query:
        scores = []
        for position, frame in enumerate(frames):
            if kind == "self":
                score = step_query @ frame
            elif kind == "dot":
                score = linear("query", step_query) @ linear("key", frame) / WIDTH**0.5
            else:
                hidden = linear("query", step_query) + linear("key", frame)
                if kind == "location":
                    filters = weights["location_conv.weight"][:, 0]  # 10 filters of 31 taps
                    padded = torch.nn.functional.pad(previous, (15, 15))
                    window = padded[position : position + 31]
                    hidden = hidden + linear("location", filters @ window)
                score = linear("score", torch.tanh(hidden)).squeeze()
            scores.append(score)
        rows.append(torch.stack(scores))
        previous = rows[-1].softmax(0)
    return torch.stack(rows)


@pytest.mark.parametrize("kind", ["self", "dot", "additive", "location"])
def test_single_headed_kinds_follow_their_equation(kind: str) -> None:
    attention, frames, query = build_attention(kind)
    merged, alignment = attention(query, attention.make_memory(frames, VALID))
    for row, length in enumerate(LENGTHS.tolist()):
        scores = expected_scores(attention, kind, query[row], frames[row, :length])
        weights = scores.softmax(1)
        torch.testing.assert_close(alignment[row, :, :length], weights, rtol=1e-4, atol=1e-5)
        context = weights @ frames[row, :length]
        expected = torch.tanh(attention.attention.W(torch.cat((context, query[row]), dim=1)))
        torch.testing.assert_close(merged[row], expected, rtol=1e-4, atol=1e-5)


def test_multi_head_attention_equals_that_of_pytorch() -> None:
    """PyTorch's last projection is set to the identity, since ours is the merge with W."""
    attention, frames, query = build_attention("multi-head")
    ours = attention.attention
    reference = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    layers = [ours.get_submodule(name) for name in ("query", "key", "value")]
    with torch.no_grad():
        weights = [layer.get_parameter("weight") for layer in layers]
        biases = [layer.get_parameter("bias") for layer in layers]
        reference.in_proj_weight.copy_(torch.cat(weights))
        reference.in_proj_bias.copy_(torch.cat(biases))
        reference.out_proj.weight.copy_(torch.eye(WIDTH))
        reference.out_proj.bias.zero_()
    context, expected_alignment = reference(query, frames, frames, key_padding_mask=~VALID)
    merged, alignment = attention(query, attention.make_memory(frames, VALID))
    torch.testing.assert_close(alignment, expected_alignment)
    torch.testing.assert_close(merged, torch.tanh(ours.W(torch.cat((context, query), dim=2))))


@pytest.mark.parametrize("kind", KINDS)
def test_only_location_attention_depends_on_the_previous_alignment(kind: str) -> None:
    attention, frames, query = build_attention(kind)
    memory = attention.make_memory(frames, VALID)
    first_step = query[:, :1]
    previous = torch.zeros(3, 45)
    previous[:, 0] = 1.0
    _, without = attention(first_step, memory)
    _, alignment = attention(first_step, memory, previous)
    assert torch.equal(without, alignment) is (kind != "location")
    assert attention.recurrent is (kind == "location")


def test_selected_memory_belongs_to_the_selected_utterances() -> None:
    attention, frames, query = build_attention("dot")
    memory = attention.make_memory(frames, VALID)
    rows = torch.tensor([1, 1, 0])
    selected = memory.select(rows)
    assert isinstance(selected, Memory)
    merged, alignment = attention(query[rows], selected)
    expected_merged, expected_alignment = attention(query, memory)
    torch.testing.assert_close(merged, expected_merged[rows])
    torch.testing.assert_close(alignment, expected_alignment[rows])
