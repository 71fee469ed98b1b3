"""Models prepared for inference give the same scores as before, or close ones in eight bits."""

import copy
import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sorigeul import ListenAttendSpell
from sorigeul.search.greedy import greedy_search
from sorigeul.search.inference import optimize_layout, quantize

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]


def scores(model: ListenAttendSpell, features: Tensor, lengths: Tensor) -> Tensor:
    """Teacher-forced scores (B, 6, V) of a fixed text of five characters."""
    tokens = torch.arange(5).expand(len(lengths), -1)
    with torch.no_grad():
        return model(features, lengths, tokens).logits.float()


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_the_memory_layout_changes_no_number(tiny: Tiny, utterances: Utterances, cell: str) -> None:
    model = tiny(cell=cell)
    batch = utterances(60, 41)
    before = scores(model, *batch)
    optimized = optimize_layout(copy.deepcopy(model))
    torch.testing.assert_close(scores(optimized, *batch), before, rtol=1e-5, atol=1e-5)
    weight = optimized.speller.out.weight
    assert weight.t().is_contiguous()
    assert torch.equal(weight, model.speller.out.weight)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_table_of_characters_gives_the_scores_of_each_step(
    tiny: Tiny, utterances: Utterances, layers: int, precision: torch.dtype
) -> None:
    model = tiny(speller_layer_size=layers)
    batch = utterances(60, 41)
    expected = scores(model, *batch)
    tolerance = 1e-5 if precision == torch.float32 else 0.1
    optimized = optimize_layout(model)
    assert optimized.speller.character_gates is not None
    with torch.no_grad(), torch.autocast("cpu", precision, precision != torch.float32):
        encoded = optimized.listen(*batch)
        memory, state = optimized.make_memory(encoded), None
        for step, token in enumerate((model.config.sos_id, 0, 1, 2, 3, 4)):
            tokens = torch.full((2, 1), token)
            logits, _, state = optimized.speller(tokens, memory, state)
            torch.testing.assert_close(
                logits[:, 0].float(), expected[:, step], rtol=tolerance, atol=tolerance
            )


def test_a_table_of_characters_is_no_weight_of_the_model(tiny: Tiny) -> None:
    model = tiny()
    names, tree = model.state_dict().keys(), str(model)
    assert optimize_layout(model).state_dict().keys() == names
    assert str(model) == tree
    assert quantize(model).speller.character_gates is None  # it was of the weights before
    assert optimize_layout(tiny(feed_context=True)).speller.character_gates is None
    assert optimize_layout(tiny(cell="lstm")).speller.character_gates is None


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
@pytest.mark.parametrize("score_function", ["self", "dot", "location", "multi-head"])
def test_scores_in_eight_bits_are_close(
    tiny: Tiny, utterances: Utterances, cell: str, score_function: str
) -> None:
    """Within 10 % of the scores' spread, and nearly the same for an utterance on its own."""
    model = tiny(
        cell=cell,
        score_function=score_function,
        feed_context=score_function == "location",
        ctc_weight=0.3,
    )
    batch = utterances(60, 41)
    before = scores(model, *batch)
    quantized = quantize(copy.deepcopy(model))
    after = scores(quantized, *batch)
    spread = before.std()
    assert (after - before).abs().mean() < 0.1 * spread
    alone = scores(quantized, batch[0][1:, :41], batch[1][1:])
    assert (alone - after[1:]).abs().mean() < 0.05 * spread


def test_a_row_of_small_weights_keeps_its_precision_in_eight_bits(tiny: Tiny) -> None:
    """As it would not with one scale for the whole matrix."""
    model = tiny(hidden_size=16)
    sizes = torch.logspace(-3, 0, model.speller.out.out_features)
    with torch.no_grad():
        model.speller.out.weight.mul_(sizes.unsqueeze(1))
        model.speller.out.bias.zero_()
    inputs = torch.randn(50, model.speller.out.in_features)
    with torch.no_grad():
        expected = model.speller.out(inputs)
        found = quantize(model).speller.out(inputs)
    error = (found - expected).abs().mean(0) / expected.abs().mean(0)
    assert error.max() < 0.05


def test_eight_bits_take_about_a_quarter_of_the_space(tiny: Tiny) -> None:
    def size(model: ListenAttendSpell) -> int:
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        return file.tell()

    model = tiny(hidden_size=128, vocabulary_size=100)
    assert size(quantize(copy.deepcopy(model))) < 0.35 * size(model)


def test_a_search_of_a_quantized_model_ends_and_is_repeatable(
    tiny: Tiny, utterances: Utterances
) -> None:
    model = quantize(tiny())
    with torch.no_grad():
        encoded = model.listen(*utterances(80, 50))
        first, second = greedy_search(model, encoded), greedy_search(model, encoded)
    for hypothesis, repeated in zip(first, second, strict=True):
        assert hypothesis.tokens == repeated.tokens
        assert hypothesis.alignment.shape[0] == len(hypothesis.tokens)
