"""Greedy search: a batch equals its members, the end of sentence ends, nothing runs for ever."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.listener_outputs import (
    EOS,
    FRAME_COUNTS,
    PAD,
    SOS,
    Tiny,
    Utterances,
    encode,
    encode_alone,
    length_limit,
)
from torch.nn import functional

from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search.greedy import ctc_greedy_search, greedy_search

Trained = tuple[ListenAttendSpell, ListenerOutput]


def test_a_batch_equals_its_members(trained: Trained, utterances: Utterances) -> None:
    model, encoded = trained
    together = greedy_search(model, encoded)
    assert len({str(hypothesis.tokens) for hypothesis in together}) > 4  # the texts do differ
    for row, hypothesis in enumerate(together):
        (alone,) = greedy_search(model, encode_alone(model, utterances, row))
        assert hypothesis.tokens == alone.tokens
        assert hypothesis.finished == alone.finished
        assert hypothesis.probabilities == pytest.approx(alone.probabilities, abs=1e-4)
        np.testing.assert_allclose(hypothesis.alignment, alone.alignment, rtol=0, atol=1e-4)


def test_hypotheses_are_the_free_running_text_up_to_the_end_of_sentence(trained: Trained) -> None:
    model, encoded = trained
    with torch.no_grad():
        first = torch.full((len(FRAME_COUNTS),), SOS)
        logits, alignments = model.speller.free_run(first, 40, model.make_memory(encoded))
    hypotheses = greedy_search(model, encoded)
    for row, hypothesis in enumerate(hypotheses):
        limit = length_limit(model, encoded, row)
        best = logits[row].argmax(1).tolist()
        end = min(best.index(EOS) if EOS in best else limit, limit)
        assert hypothesis.tokens == best[:end]
        assert hypothesis.finished is (end < limit)
        expected = logits[row, :end].softmax(1).amax(1).tolist()
        assert hypothesis.probabilities == pytest.approx(expected, abs=1e-4)
        valid = int(encoded.lengths[row])
        attention = alignments[row, :end, :valid].numpy()
        np.testing.assert_allclose(hypothesis.alignment, attention, rtol=0, atol=1e-4)
    assert {hypothesis.finished for hypothesis in hypotheses} == {True, False}
    lengths = {len(hypothesis.tokens) for hypothesis in hypotheses if hypothesis.finished}
    assert len(lengths) > 2


def test_probabilities_and_alignment_have_one_row_for_each_token(trained: Trained) -> None:
    model, encoded = trained
    for row, hypothesis in enumerate(greedy_search(model, encoded)):
        count = len(hypothesis.tokens)
        assert len(hypothesis.probabilities) == count
        assert hypothesis.alignment.shape == (count, int(encoded.lengths[row]))
        if model.config.use_attention:
            np.testing.assert_allclose(hypothesis.alignment.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("bias", [0.0, 1e4])
def test_start_and_padding_tokens_are_never_chosen(
    tiny: Tiny, utterances: Utterances, bias: float
) -> None:
    model = tiny()
    with torch.no_grad():
        model.speller.out.bias[[SOS, PAD]] = bias
    for hypothesis in greedy_search(model, encode(model, utterances)):
        assert all(token < SOS for token in hypothesis.tokens)
        assert all(0 < probability <= 1 for probability in hypothesis.probabilities)


def test_start_and_padding_tokens_take_no_probability(tiny: Tiny, utterances: Utterances) -> None:
    runs = []
    for bias in (0.0, 1e4):
        model = tiny()
        with torch.no_grad():
            model.speller.out.bias[[SOS, PAD]] = bias
        runs.append(greedy_search(model, encode(model, utterances)))
    for unbiased, biased in zip(*runs, strict=True):
        assert unbiased.tokens == biased.tokens
        assert unbiased.probabilities == pytest.approx(biased.probabilities, abs=1e-5)


@pytest.mark.parametrize("changes", [{}, {"use_pyramidal": False}, {"time_reduction": 8}], ids=str)
def test_a_model_that_never_ends_is_stopped_at_the_length_limit(
    tiny: Tiny, utterances: Utterances, changes: dict[str, Any]
) -> None:
    model = tiny(**changes)
    with torch.no_grad():
        model.speller.out.bias[EOS] = -torch.inf
    encoded = encode(model, utterances)
    for row, hypothesis in enumerate(greedy_search(model, encoded)):
        assert not hypothesis.finished
        assert len(hypothesis.tokens) == length_limit(model, encoded, row)


def test_a_sentence_that_ends_at_once_is_an_empty_hypothesis(
    tiny: Tiny, utterances: Utterances
) -> None:
    model = tiny()
    with torch.no_grad():
        model.speller.out.bias[EOS] = 1e4
    encoded = encode(model, utterances)
    for row, hypothesis in enumerate(greedy_search(model, encoded)):
        assert hypothesis.tokens == hypothesis.probabilities == []
        assert hypothesis.finished
        assert hypothesis.alignment.shape == (0, int(encoded.lengths[row]))


def test_a_search_computes_no_gradient(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny()
    encoded = model.listen(*utterances(*FRAME_COUNTS))
    assert encoded.frames.requires_grad
    recorded = []
    model.speller.register_forward_hook(lambda *call: recorded.append(call[2][0].requires_grad))
    greedy_search(model, encoded)
    assert recorded
    assert not any(recorded)


def test_search_works_in_half_precision(tiny: Tiny, utterances: Utterances) -> None:
    for cell in ("gru", "lstm", "rnn"):
        model = tiny(cell=cell, score_function="location", feed_context=True, ctc_weight=0.3)
        with torch.autocast("cpu", torch.bfloat16):
            encoded = encode(model, utterances)
            hypotheses = greedy_search(model, encoded)
            ctc_hypotheses = ctc_greedy_search(model, encoded)
        assert len(hypotheses) == len(ctc_hypotheses) == len(FRAME_COUNTS)
        assert all(hypothesis.alignment.dtype == np.float32 for hypothesis in hypotheses)


# CTC, with eight characters 0 to 7, start 8, end 9 and blank 10

BLANK = 10


def ctc_model() -> tuple[ListenAttendSpell, Callable[[list[list[int]], list[int]], ListenerOutput]]:
    """A model whose CTC head chooses given units, and a function that encodes them as frames.

    The function takes the units of the frames, a list for each utterance, and the valid frames.
    """
    config = LASConfig(
        hidden_size=11,
        use_bidirectional=False,
        conv_channels=1,
        n_mels=4,
        vocabulary_size=11,
        listener_layer_size=3,
        ctc_weight=0.3,
    )
    model = ListenAttendSpell(config).eval()
    with torch.no_grad():
        model.ctc.weight.copy_(torch.eye(11))
        model.ctc.bias.zero_()

    def encode_units(units: list[list[int]], lengths: list[int]) -> ListenerOutput:
        ctc_frames = functional.one_hot(torch.tensor(units), 11).float()
        return ListenerOutput(
            frames=ctc_frames[:, :1],
            lengths=torch.ones(len(units)).long(),
            ctc_frames=ctc_frames,
            ctc_lengths=torch.tensor(lengths),
            lowest_frames=ctc_frames,
            lowest_lengths=torch.tensor(lengths),
        )

    return model, encode_units


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([1, 1, 2, 2, 2, 3], [1, 2, 3]),
        ([1, BLANK, 1, 1, BLANK, BLANK], [1, 1]),
        ([BLANK, BLANK, 0, BLANK, 7, 7], [0, 7]),
        ([BLANK] * 6, []),
        ([4] * 6, [4]),
        ([8, 5, 9, 9, 6, BLANK], [5, 6]),
    ],
    ids=str,
)
def test_ctc_merges_repeats_and_removes_blanks_and_special_tokens(
    path: list[int], text: list[int]
) -> None:
    model, encode_units = ctc_model()
    assert ctc_greedy_search(model, encode_units([path], [6])) == [text]


def test_ctc_does_not_read_padding() -> None:
    model, encode_units = ctc_model()
    encoded = encode_units([[1, 1, 2, 3], [1, 1, 2, 3], [1, 1, 2, 3]], [4, 2, 1])
    assert ctc_greedy_search(model, encoded) == [[1, 2, 3], [1], [1]]


def test_ctc_of_a_batch_equals_its_members(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3)
    together = ctc_greedy_search(model, encode(model, utterances))
    assert any(together)
    for row, tokens in enumerate(together):
        assert ctc_greedy_search(model, encode_alone(model, utterances, row)) == [tokens]


def test_ctc_search_needs_a_ctc_head(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny()
    with pytest.raises(ValueError, match="no CTC head"):
        ctc_greedy_search(model, encode(model, utterances))
