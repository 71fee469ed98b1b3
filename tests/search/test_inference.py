"""Models made ready for recognition alone say what they said before."""

import copy
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
    """Teacher-forced scores of a fixed text."""
    tokens = torch.arange(5).expand(len(lengths), -1)
    with torch.no_grad():
        return model(features, lengths, tokens).logits.float()


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_laying_out_changes_no_number(tiny: Tiny, utterances: Utterances, cell: str) -> None:
    model = tiny(cell=cell)
    batch = utterances(60, 41)
    before = scores(model, *batch)
    laid_out = optimize_layout(copy.deepcopy(model))
    torch.testing.assert_close(scores(laid_out, *batch), before, rtol=1e-5, atol=1e-5)
    weight = laid_out.speller.out.weight
    assert weight.t().is_contiguous()
    assert torch.equal(weight, model.speller.out.weight)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
@pytest.mark.parametrize("kind", ["self", "dot", "location", "multi-head"])
def test_eight_bits_stay_close(tiny: Tiny, utterances: Utterances, cell: str, kind: str) -> None:
    """Within 10 % of the scores' spread, the utterance alone or beside a longer one."""
    model = tiny(cell=cell, score_function=kind, feed_context=kind == "location", ctc_weight=0.3)
    batch = utterances(60, 41)
    before = scores(model, *batch)
    quantized = quantize(copy.deepcopy(model))
    after = scores(quantized, *batch)
    spread = before.std()
    assert (after - before).abs().mean() < 0.1 * spread
    alone = scores(quantized, batch[0][1:, :41], batch[1][1:])
    assert (alone - after[1:]).abs().mean() < 0.05 * spread


def test_eight_bits_are_a_quarter_of_the_size(tiny: Tiny) -> None:
    import io

    def size(model: ListenAttendSpell) -> int:
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        return len(file.getvalue())

    model = tiny(hidden_size=128, vocabulary_size=100)
    assert size(quantize(copy.deepcopy(model))) < 0.35 * size(model)


def test_quantized_search_ends_and_is_repeatable(tiny: Tiny, utterances: Utterances) -> None:
    model = quantize(tiny())
    with torch.no_grad():
        encoded = model.listen(*utterances(80, 50))
        first, second = greedy_search(model, encoded), greedy_search(model, encoded)
    assert [one.tokens for one in first] == [one.tokens for one in second]
    assert all(one.alignment.shape[0] == len(one.tokens) for one in first)
