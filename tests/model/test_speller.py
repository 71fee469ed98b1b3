"""The speller: single steps equal a whole sentence, for every attention and cell."""

from collections.abc import Callable
from itertools import product
from typing import get_args

import pytest
import torch
from torch import Tensor

from sorigeul.model.config import ScoreFunction
from sorigeul.model.las import ListenAttendSpell
from sorigeul.model.memory import Memory
from sorigeul.model.recurrent import CELLS

Tiny = Callable[..., ListenAttendSpell]

# Every kind of attention and none, every cell, with and without input feeding.
KINDS = ("none", *get_args(ScoreFunction))
ALL_SPELLERS = list(product(KINDS, CELLS, (False, True)))


def build_speller(
    tiny: Tiny, kind: str, cell: str, feed_context: bool
) -> tuple[ListenAttendSpell, Memory]:
    """A model, and the memory of three utterances with random frames."""
    attention = {"use_attention": False} if kind == "none" else {"score_function": kind}
    model = tiny(cell=cell, feed_context=feed_context, **attention)
    generator = torch.Generator().manual_seed(10)
    frames = torch.randn(3, 9, model.config.width, generator=generator)
    return model, model.speller.make_memory(frames, torch.tensor([9, 4, 1]))


def random_tokens(model: ListenAttendSpell, length: int = 6) -> Tensor:
    """Three random texts, each with the start mark before it (3, length)."""
    generator = torch.Generator().manual_seed(11)
    tokens = torch.randint(model.config.sos_id, (3, length), generator=generator)
    tokens[:, 0] = model.config.sos_id
    return tokens


@pytest.mark.parametrize(("kind", "cell", "feed_context"), ALL_SPELLERS)
@pytest.mark.parametrize("with_gradient", [True, False])
def test_a_whole_text_equals_its_single_steps(
    tiny: Tiny, kind: str, cell: str, feed_context: bool, with_gradient: bool
) -> None:
    model, memory = build_speller(tiny, kind, cell, feed_context)
    tokens = random_tokens(model)
    with torch.set_grad_enabled(with_gradient):
        all_logits, all_alignments, last_state = model.speller(tokens, memory)
        state, steps = None, []
        for token in tokens.unbind(1):
            logits, alignment, state = model.speller(token.unsqueeze(1), memory, state)
            steps.append((logits, alignment))
    assert all_logits.shape == (3, 6, 30)
    logits = torch.cat([step_logits for step_logits, _ in steps], dim=1)
    alignments = torch.cat([step_alignment for _, step_alignment in steps], dim=1)
    torch.testing.assert_close(logits, all_logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(alignments, all_alignments, rtol=0, atol=1e-5)
    for hidden, last_hidden in zip(state.hidden, last_state.hidden, strict=True):
        torch.testing.assert_close(hidden, last_hidden, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kind", "cell", "feed_context"), ALL_SPELLERS)
def test_an_earlier_character_changes_a_later_score(
    tiny: Tiny, kind: str, cell: str, feed_context: bool
) -> None:
    """KoSpeech's recognition depended on the last character only."""
    model, memory = build_speller(tiny, kind, cell, feed_context)
    tokens = random_tokens(model, 3)
    other = tokens.clone()
    other[:, 1] = (other[:, 1] + 1) % model.config.sos_id
    scores = []
    for inputs in (tokens, other):
        state = None
        for token in inputs.unbind(1):
            logits, _, state = model.speller(token.unsqueeze(1), memory, state)
        scores.append(logits)
    assert (scores[0] - scores[1]).abs().amax((1, 2)).min() > 1e-3


@pytest.mark.parametrize(("kind", "cell", "feed_context"), ALL_SPELLERS)
def test_free_running_reads_its_best_characters(
    tiny: Tiny, kind: str, cell: str, feed_context: bool
) -> None:
    model, memory = build_speller(tiny, kind, cell, feed_context)
    first = random_tokens(model)[:, 0]
    logits, alignments = model.speller.free_run(first, 7, memory)
    inputs = torch.cat((first.unsqueeze(1), logits.argmax(2)[:, :-1]), dim=1)
    expected_logits, expected_alignments, _ = model.speller(inputs, memory)
    torch.testing.assert_close(logits, expected_logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(alignments, expected_alignments, rtol=0, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_free_running_has_gradients_through_all_steps(tiny: Tiny, training: bool) -> None:
    model, memory = build_speller(tiny, "self", "gru", False)
    model.train(training)
    logits, _ = model.speller.free_run(random_tokens(model)[:, 0], 4, memory)
    logits[:, -1].sum().backward()
    gradient = model.speller.rnn.weight_hh_l0.grad
    assert isinstance(gradient, Tensor)
    assert gradient.any()


def test_dropout_of_characters_is_active_only_in_training(tiny: Tiny) -> None:
    """A speller of one layer has no other dropout, and the listener is not called."""
    for training in (True, False):
        model = tiny(speller_layer_size=1, dropout=0.5).train(training)
        frames = torch.randn(3, 9, model.config.width)
        memory = model.speller.make_memory(frames, torch.tensor([9, 4, 1]))
        once, again = (model.speller(random_tokens(model), memory)[0] for _ in range(2))
        assert torch.equal(once, again) is not training


def test_a_later_character_changes_no_earlier_score(tiny: Tiny) -> None:
    model, memory = build_speller(tiny, "location", "gru", True)
    tokens = random_tokens(model)
    other = tokens.clone()
    other[:, 4:] = 0
    before, after = model.speller(tokens, memory)[0], model.speller(other, memory)[0]
    torch.testing.assert_close(before[:, :4], after[:, :4], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, 4:], after[:, 4:], atol=1e-3)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_without_attention_the_first_state_is_a_summary(
    tiny: Tiny, cell: str, bidirectional: bool
) -> None:
    """The output of each direction at its end: of the last valid frame, and of the first one."""
    model = tiny(use_attention=False, cell=cell, use_bidirectional=bidirectional)
    width = model.config.width
    frames = torch.randn(2, 9, width, generator=torch.Generator().manual_seed(10))
    state = model.speller.start(model.speller.make_memory(frames, torch.tensor([9, 4])))
    for row, last in enumerate((8, 3)):
        half = width // 2 if bidirectional else width
        summary = torch.cat((frames[row, last, :half], frames[row, 0, half:]))
        assert torch.equal(state.hidden[0][:, row], summary.expand(2, width))
    assert len(state.hidden) == (2 if cell == "lstm" else 1)


@pytest.mark.parametrize("kind", ["none", "self"])
def test_the_same_text_has_other_scores_for_other_frames(tiny: Tiny, kind: str) -> None:
    model, memory = build_speller(tiny, kind, "gru", False)
    scores, _, _ = model.speller(random_tokens(model)[:1].expand(3, -1), memory)
    assert (scores[0] - scores[1]).abs().max() > 1e-3


@pytest.mark.parametrize(("kind", "cell", "feed_context"), ALL_SPELLERS)
def test_a_search_can_reorder_states(tiny: Tiny, kind: str, cell: str, feed_context: bool) -> None:
    model, memory = build_speller(tiny, kind, cell, feed_context)
    tokens, rows = random_tokens(model), torch.tensor([2, 0, 0, 1])
    expected, _, _ = model.speller(tokens, memory)
    _, _, state_after_three = model.speller(tokens[:, :3], memory)
    for position, state in ((0, model.speller.start(memory)), (3, state_after_three)):
        remaining = tokens[rows, position:]
        logits, _, _ = model.speller(remaining, memory.select(rows), state.select(rows))
        torch.testing.assert_close(logits, expected[rows, position:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_one_silent_frame_gives_what_silence_in_all_frames_gives(tiny: Tiny, kind: str) -> None:
    model, memory = build_speller(tiny, kind, "gru", feed_context=True)
    silence = torch.zeros_like(memory.values), torch.zeros_like(memory.keys)
    every_frame = Memory(*silence, memory.valid)
    tokens, states = random_tokens(model), [None, None]
    for token in tokens.unbind(1):
        steps = [
            model.speller(token.unsqueeze(1), deaf, state)
            for deaf, state in zip((every_frame, memory.silent()), states, strict=True)
        ]
        torch.testing.assert_close(steps[1][0], steps[0][0], rtol=0, atol=1e-5)
        states = [state for _, _, state in steps]
