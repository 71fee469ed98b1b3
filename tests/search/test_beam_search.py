"""Beam search: the best of all texts by the joint score, and the same alone as in a batch."""

import itertools

import pytest
import torch
from helpers.listener_outputs import EOS, Tiny, Utterances, encode, encode_alone, length_limit
from torch.nn import functional

from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search.beam_search import beam_search
from sorigeul.search.greedy import greedy_search

Trained = tuple[ListenAttendSpell, ListenerOutput]


def joint_score(
    model: ListenAttendSpell, encoded: ListenerOutput, text: tuple[int, ...], ctc_weight: float
) -> float:
    """Joint score of a complete text, from a teacher-forced pass and PyTorch's CTC loss."""
    config = model.config
    tokens = torch.tensor([text], dtype=torch.long).view(1, -1)
    output = model.spell(encoded, tokens)
    logits = output.logits[0].double()
    logits[:, [config.sos_id, config.pad_id]] = -torch.inf
    targets = torch.tensor([*text, config.eos_id])
    speller = float(logits.log_softmax(-1).gather(1, targets.unsqueeze(1)).sum())
    if not ctc_weight:
        return speller
    assert output.ctc_logits is not None
    ctc_loss = functional.ctc_loss(
        output.ctc_logits.double().log_softmax(-1).transpose(0, 1),
        tokens,
        output.ctc_lengths,
        torch.tensor([len(text)]),
        blank=config.pad_id,
        reduction="sum",
    )
    return (1 - ctc_weight) * speller - ctc_weight * float(ctc_loss)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3, 1.0])
def test_a_wide_beam_finds_the_best_of_all_texts(
    tiny: Tiny, utterances: Utterances, ctc_weight: float
) -> None:
    model = tiny(vocabulary_size=5, ctc_weight=0.3, hidden_size=16)
    features, lengths = utterances(24, 17, frames=24)
    with torch.no_grad():
        model.ctc.weight *= 8  # otherwise the empty text is the best
        encoded = model.listen(features, lengths)
        for row, hypothesis in enumerate(beam_search(model, encoded, 300, ctc_weight)):
            count = int(lengths[row])
            alone = model.listen(features[row : row + 1, :count], lengths[row : row + 1])
            scores = {
                text: joint_score(model, alone, text, ctc_weight)
                for size in range(9)
                for text in itertools.product((0, 1), repeat=size)
            }
            assert tuple(hypothesis.tokens) == max(scores, key=scores.__getitem__)


def test_a_beam_of_one_without_ctc_equals_greedy_search(trained: Trained) -> None:
    model, encoded = trained
    for narrow, greedy in zip(
        beam_search(model, encoded, 1), greedy_search(model, encoded), strict=True
    ):
        if not greedy.finished:
            continue  # greedy search cuts it off, beam search ends it where it scores best
        assert narrow.tokens == greedy.tokens
        assert narrow.finished
        assert narrow.probabilities == pytest.approx(greedy.probabilities, abs=1e-4)
        torch.testing.assert_close(narrow.alignment, greedy.alignment, rtol=0, atol=1e-4)


def test_a_batch_equals_its_members(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3, score_function="location", feed_context=True)
    for row, hypothesis in enumerate(beam_search(model, encode(model, utterances), 4)):
        (alone,) = beam_search(model, encode_alone(model, utterances, row), 4)
        assert hypothesis.tokens == alone.tokens
        torch.testing.assert_close(hypothesis.alignment, alone.alignment, rtol=0, atol=1e-4)


def test_a_model_that_never_ends_is_stopped(tiny: Tiny, utterances: Utterances) -> None:
    """At the length limit, or where CTC leaves no frame for another character."""
    model = tiny(ctc_weight=0.3)
    with torch.no_grad():
        model.speller.out.bias[EOS] = -torch.inf
    encoded = encode(model, utterances)
    for row, hypothesis in enumerate(beam_search(model, encoded, 3)):
        most = min(length_limit(model, encoded, row), int(encoded.ctc_lengths[row]))
        assert 0 < len(hypothesis.tokens) <= most
        assert not hypothesis.finished
    for row, hypothesis in enumerate(beam_search(model, encoded, 3, ctc_weight=0)):
        assert len(hypothesis.tokens) == length_limit(model, encoded, row)
        assert not hypothesis.finished
