"""The speller: one function for a step and a sentence, which forgets nothing in between."""

from collections.abc import Callable
from itertools import product
from typing import get_args

import pytest
import torch
from torch import Tensor

from sorigeul.model.attention import Memory, ScoreFunction
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.recurrent import CELLS

Tiny = Callable[..., ListenAttendSpell]

# With no attention, and with each kind of it; each cell; with and without input feeding.
KINDS = ("none", *get_args(ScoreFunction))
EVERY = list(product(KINDS, CELLS, (False, True)))


def made(tiny: Tiny, kind: str, cell: str, feed_context: bool) -> tuple[ListenAttendSpell, Memory]:
    """A model, and the memory of three utterances of noise."""
    attention = {"use_attention": False} if kind == "none" else {"score_function": kind}
    model = tiny(cell=cell, feed_context=feed_context, **attention)
    generator = torch.Generator().manual_seed(10)
    frames = torch.randn(3, 9, model.config.width, generator=generator)
    return model, model.speller.make_memory(frames, torch.tensor([9, 4, 1]))


def text(model: ListenAttendSpell, length: int = 6) -> Tensor:
    """Three sentences of chance, each after the start mark (3, length)."""
    generator = torch.Generator().manual_seed(11)
    tokens = torch.randint(model.config.sos_id, (3, length), generator=generator)
    tokens[:, 0] = model.config.sos_id
    return tokens


@pytest.mark.parametrize(("kind", "cell", "feed_context"), EVERY)
@pytest.mark.parametrize("learning", [True, False])
def test_a_sentence_equals_its_steps(
    tiny: Tiny, kind: str, cell: str, feed_context: bool, learning: bool
) -> None:
    model, memory = made(tiny, kind, cell, feed_context)
    tokens = text(model)
    with torch.set_grad_enabled(learning):
        whole, alignments, after = model.speller(tokens, memory)
        state, steps = None, []
        for token in tokens.unbind(1):
            logits, alignment, state = model.speller(token.unsqueeze(1), memory, state)
            steps.append((logits, alignment))
    assert whole.shape == (3, 6, 30)
    torch.testing.assert_close(torch.cat([step for step, _ in steps], 1), whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        torch.cat([step for _, step in steps], 1), alignments, rtol=0, atol=1e-5
    )
    for one, other in zip(state.hidden, after.hidden, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "cell", "feed_context"), EVERY)
def test_an_earlier_character_changes_a_later_score(
    tiny: Tiny, kind: str, cell: str, feed_context: bool
) -> None:
    """The ancestor's recognition saw the last character only."""
    model, memory = made(tiny, kind, cell, feed_context)
    tokens = text(model, 3)
    other = tokens.clone()
    other[:, 1] = (other[:, 1] + 1) % model.config.sos_id
    scores = []
    for each in (tokens, other):
        state = None
        for token in each.unbind(1):
            logits, _, state = model.speller(token.unsqueeze(1), memory, state)
        scores.append(logits)
    assert (scores[0] - scores[1]).abs().amax((1, 2)).min() > 1e-3


@pytest.mark.parametrize(("kind", "cell", "feed_context"), EVERY)
def test_free_running_feeds_back_the_best(
    tiny: Tiny, kind: str, cell: str, feed_context: bool
) -> None:
    model, memory = made(tiny, kind, cell, feed_context)
    first = text(model)[:, 0]
    logits, alignments = model.speller.free_run(first, 7, memory)
    fed = torch.cat((first.unsqueeze(1), logits.argmax(2)[:, :-1]), dim=1)
    expected, weights, _ = model.speller(fed, memory)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(alignments, weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize("learning", [True, False])
def test_free_running_learns_through_every_step(tiny: Tiny, learning: bool) -> None:
    model, memory = made(tiny, "self", "gru", False)
    model.train(learning)
    logits, _ = model.speller.free_run(text(model)[:, 0], 4, memory)
    logits[:, -1].sum().backward()
    gradient = model.speller.rnn.weight_hh_l0.grad
    assert isinstance(gradient, Tensor)
    assert gradient.any()


def test_characters_drop_out_in_training_only(tiny: Tiny) -> None:
    """One layer has nothing else to drop out: the listener is left aside."""
    for training, drops in ((True, True), (False, False)):
        model = tiny(speller_layer_size=1, dropout=0.5).train(training)
        frames = torch.randn(3, 9, model.config.width)
        memory = model.speller.make_memory(frames, torch.tensor([9, 4, 1]))
        once, again = (model.speller(text(model), memory)[0] for _ in range(2))
        assert torch.equal(once, again) is not drops


def test_later_characters_do_not_reach_back(tiny: Tiny) -> None:
    model, memory = made(tiny, "location", "gru", True)
    tokens = text(model)
    other = tokens.clone()
    other[:, 4:] = 0
    before, after = model.speller(tokens, memory)[0], model.speller(other, memory)[0]
    torch.testing.assert_close(before[:, :4], after[:, :4], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-3)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("two_way", [True, False])
def test_without_attention_it_starts_from_a_summary(tiny: Tiny, cell: str, two_way: bool) -> None:
    """Where each direction of the listener ended: at the last valid frame, and at the first."""
    model = tiny(use_attention=False, cell=cell, use_bidirectional=two_way)
    width = model.config.width
    frames = torch.randn(2, 9, width, generator=torch.Generator().manual_seed(10))
    state = model.speller.start(model.speller.make_memory(frames, torch.tensor([9, 4])))
    for row, last in enumerate((8, 3)):
        half = width // 2 if two_way else width
        summary = torch.cat((frames[row, last, :half], frames[row, 0, half:]))
        assert torch.equal(state.hidden[0][:, row], summary.expand(2, width))
    assert len(state.hidden) == (2 if cell == "lstm" else 1)


@pytest.mark.parametrize("kind", ["none", "self"])
def test_every_utterance_hears_its_own_audio(tiny: Tiny, kind: str) -> None:
    model, memory = made(tiny, kind, "gru", False)
    scores, _, _ = model.speller(text(model)[:1].expand(3, -1), memory)
    assert (scores[0] - scores[1]).abs().max() > 1e-3


@pytest.mark.parametrize(("kind", "cell", "feed_context"), EVERY)
def test_a_search_may_reorder_the_state(
    tiny: Tiny, kind: str, cell: str, feed_context: bool
) -> None:
    model, memory = made(tiny, kind, cell, feed_context)
    tokens, rows = text(model), torch.tensor([2, 0, 0, 1])
    expected, _, _ = model.speller(tokens, memory)
    _, _, later = model.speller(tokens[:, :3], memory)
    for spelled, state in ((0, model.speller.start(memory)), (3, later)):
        rest = tokens[rows, spelled:]
        logits, _, _ = model.speller(rest, memory.select(rows), state.select(rows))
        torch.testing.assert_close(logits, expected[rows, spelled:], rtol=0, atol=1e-5)
