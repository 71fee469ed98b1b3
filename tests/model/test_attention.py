"""Each kind of attention against its equation, and blind to padding."""

from typing import get_args

import pytest
import torch
from torch import Tensor

from sorigeul.model.attention import Attention, Memory, ScoreFunction

KINDS = get_args(ScoreFunction)
WIDTH, HEADS = 8, 2
LENGTHS = torch.tensor([6, 40, 1])
VALID = torch.arange(45) < LENGTHS.unsqueeze(1)


def made(kind: str) -> tuple[Attention, Tensor, Tensor]:
    """An attention, frames (3, 45, 8) that are noise on the padding too, a query (3, 5, 8)."""
    torch.manual_seed(9)
    attention = Attention(kind, WIDTH, HEADS)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return attention, torch.randn(3, 45, WIDTH), torch.randn(3, 5, WIDTH)


def test_kinds_are_the_five() -> None:
    assert KINDS == ("self", "dot", "additive", "location", "multi-head")


@pytest.mark.parametrize("kind", KINDS)
def test_alignments_sum_to_1_over_valid_frames_and_are_0_on_padding(kind: str) -> None:
    attention, frames, query = made(kind)
    _, alignment = attention(query, attention.make_memory(frames, VALID))
    assert alignment.shape == (3, 5, 45)
    torch.testing.assert_close(alignment.sum(2), torch.ones(3, 5))
    assert (alignment >= 0).all()
    assert not alignment.transpose(1, 2)[~VALID].any()


@pytest.mark.parametrize("kind", KINDS)
def test_padding_and_neighbours_change_nothing(kind: str) -> None:
    attention, frames, query = made(kind)
    merged, alignment = attention(query, attention.make_memory(frames, VALID))
    for row, length in enumerate(LENGTHS.tolist()):
        valid = torch.ones(1, length, dtype=torch.bool)
        memory = attention.make_memory(frames[row : row + 1, :length], valid)
        alone, weights = attention(query[row : row + 1], memory)
        torch.testing.assert_close(alone[0], merged[row], rtol=0, atol=1e-5)
        torch.testing.assert_close(weights[0], alignment[row, :, :length], rtol=0, atol=1e-5)


def expected_scores(attention: Attention, kind: str, query: Tensor, frames: Tensor) -> Tensor:
    """Scores (U, S) of one utterance by the published equations, one entry at a time."""
    own = attention.attention
    weights = {name: parameter.detach() for name, parameter in own.named_parameters()}

    def linear(name: str, vector: Tensor) -> Tensor:
        return weights[f"{name}.weight"] @ vector + weights.get(f"{name}.bias", torch.tensor(0.0))

    count = len(frames)
    looked = torch.full((count,), 1 / count)
    rows = []
    for one in query:
        scores = []
        for place, frame in enumerate(frames):
            if kind == "self":
                score = one @ frame
            elif kind == "dot":
                score = linear("query", one) @ linear("key", frame) / WIDTH**0.5
            else:
                inside = linear("query", one) + linear("key", frame)
                if kind == "location":
                    filters = weights["location_conv.weight"][:, 0]  # 10 of 31 taps
                    around = torch.nn.functional.pad(looked, (15, 15))[place : place + 31]
                    inside = inside + linear("location", filters @ around)
                score = linear("score", torch.tanh(inside)).squeeze()
            scores.append(score)
        rows.append(torch.stack(scores))
        looked = rows[-1].softmax(0)
    return torch.stack(rows)


@pytest.mark.parametrize("kind", ["self", "dot", "additive", "location"])
def test_single_headed_kinds_follow_their_equation(kind: str) -> None:
    attention, frames, query = made(kind)
    merged, alignment = attention(query, attention.make_memory(frames, VALID))
    for row, length in enumerate(LENGTHS.tolist()):
        scores = expected_scores(attention, kind, query[row], frames[row, :length])
        weights = scores.softmax(1)
        torch.testing.assert_close(alignment[row, :, :length], weights, rtol=1e-4, atol=1e-5)
        context = weights @ frames[row, :length]
        out = torch.tanh(attention.attention.W(torch.cat((context, query[row]), dim=1)))
        torch.testing.assert_close(merged[row], out, rtol=1e-4, atol=1e-5)


def test_multi_head_attention_is_torchs() -> None:
    """PyTorch's own, whose last projection is the identity here: ours is the merge with W."""
    attention, frames, query = made("multi-head")
    own = attention.attention
    reference = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    parts = [own.get_submodule(name) for name in ("query", "key", "value")]
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([part.get_parameter("weight") for part in parts]))
        reference.in_proj_bias.copy_(torch.cat([part.get_parameter("bias") for part in parts]))
        reference.out_proj.weight.copy_(torch.eye(WIDTH))
        reference.out_proj.bias.zero_()
    context, weights = reference(query, frames, frames, key_padding_mask=~VALID)
    merged, alignment = attention(query, attention.make_memory(frames, VALID))
    torch.testing.assert_close(alignment, weights)
    torch.testing.assert_close(merged, torch.tanh(own.W(torch.cat((context, query), dim=2))))


@pytest.mark.parametrize("kind", KINDS)
def test_only_location_looks_at_where_it_looked(kind: str) -> None:
    attention, frames, query = made(kind)
    memory = attention.make_memory(frames, VALID)
    one = query[:, :1]
    start = torch.zeros(3, 45)
    start[:, 0] = 1.0
    _, usual = attention(one, memory)
    _, moved = attention(one, memory, start)
    assert torch.equal(usual, moved) is (kind != "location")
    assert attention.recurrent is (kind == "location")


def test_memory_of_chosen_utterances() -> None:
    attention, frames, query = made("dot")
    memory = attention.make_memory(frames, VALID)
    rows = torch.tensor([1, 1, 0])
    chosen = memory.select(rows)
    assert isinstance(chosen, Memory)
    merged, alignment = attention(query[rows], memory.select(rows))
    expected, weights = attention(query, memory)
    torch.testing.assert_close(merged, expected[rows])
    torch.testing.assert_close(alignment, weights[rows])
