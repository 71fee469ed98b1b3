"""Beam search: the best of all texts by all scorers, and the same alone as in a batch."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from helpers.listener_outputs import EOS, Tiny, Utterances, encode, encode_alone, length_limit
from torch import Tensor
from torch.nn import functional

from sorigeul.lm.language_model import LanguageModel
from sorigeul.lm.network import NetworkModel
from sorigeul.lm.transformer import TransformerConfig, TransformerNetwork
from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search import beam_search
from sorigeul.search.decoding import Search
from sorigeul.search.greedy import greedy_search
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.search.options import LM_BEAM_WIDTH, SearchOptions
from sorigeul.search.terms import Terms
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

Trained = tuple[ListenAttendSpell, ListenerOutput]


@dataclass(frozen=True)
class LastTokens:
    """The state of a bigram model: the last id of each text (N,)."""

    tokens: Tensor

    def select(self, rows: Tensor) -> "LastTokens":
        return LastTokens(self.tokens[rows])


class Bigrams(LanguageModel[LastTokens]):
    """A real, if small, language model: a table of the probabilities after each character."""

    def __init__(self, vocabulary: Vocabulary, sharpness: float) -> None:
        self.vocabulary = vocabulary
        size = len(vocabulary)
        logits = sharpness * torch.randn(size, size, generator=torch.Generator().manual_seed(3))
        logits[:, [vocabulary.sos_id, vocabulary.pad_id]] = -torch.inf
        self.table = logits.log_softmax(-1)

    def to(self, device: torch.device) -> None:
        self.table = self.table.to(device)

    def start(self, rows: int) -> LastTokens:
        return LastTokens(torch.full((rows,), self.vocabulary.sos_id, device=self.table.device))

    def scores(self, state: LastTokens) -> Tensor:
        return self.table[state.tokens]

    def advance(self, state: LastTokens, tokens: Tensor) -> LastTokens:
        return LastTokens(tokens)


def transformer(vocabulary: Vocabulary) -> NetworkModel:
    """A language model whose state grows with the text, up to its context of four characters."""
    torch.manual_seed(4)
    network = TransformerNetwork(TransformerConfig(8, 2, 2, context=4), vocabulary)
    with torch.no_grad():
        network.output_bias.normal_()
    return NetworkModel(network, vocabulary)


def vocabulary(size: int = 30) -> Vocabulary:
    """A vocabulary of `size` ids."""
    return Vocabulary((*(chr(ord("가") + i) for i in range(size - 3)), *SPECIALS))


def text_score(search: Search, encoded: list[ListenerOutput], text: tuple[int, ...]) -> float:
    """The score of a complete text of one utterance, from whole passes and PyTorch's CTC loss."""
    options, models = search.options, search.models
    total = 0.0
    for model, output in zip(models, encoded, strict=True):
        ctc_weight = options.ctc_weight if model.config.ctc_weight > 0 else 0.0
        total += (1 - ctc_weight) * speller_score(model, output, text) / len(models)
        if ctc_weight:
            total += ctc_weight * ctc_score(model, output, text) / len(models)
    for weight, language_model in zip(options.lm_weights, search.language_models, strict=True):
        state = language_model.start(1)
        for token in (*text, models[0].config.eos_id):
            total += weight * float(language_model.scores(state)[0, token])
            state = language_model.advance(state, torch.tensor([token]))
    return total + options.length_bonus * len(text)


def speller_score(model: ListenAttendSpell, output: ListenerOutput, text: tuple[int, ...]) -> float:
    config = model.config
    tokens = torch.tensor([text], dtype=torch.long).view(1, -1)
    logits = model.spell(output, tokens).logits[0].double()
    logits[:, [config.sos_id, config.pad_id]] = -torch.inf
    targets = torch.tensor([*text, config.eos_id])
    return float(logits.log_softmax(-1).gather(1, targets.unsqueeze(1)).sum())


def ctc_score(model: ListenAttendSpell, output: ListenerOutput, text: tuple[int, ...]) -> float:
    logits = model.ctc_logits(output)
    assert logits is not None
    loss = functional.ctc_loss(
        logits.double().log_softmax(-1).transpose(0, 1),
        torch.tensor([text], dtype=torch.long).view(1, -1),
        output.ctc_lengths,
        torch.tensor([len(text)]),
        blank=model.config.pad_id,
        reduction="sum",
    )
    return -float(loss)


def best(search: Search, encoded: ListenerOutput) -> list[Hypothesis]:
    """The best hypothesis of each utterance."""
    return [hypotheses[0] for hypotheses in search([encoded] * len(search.models))]


SETTINGS: list[dict[str, Any]] = [
    {"ctc_weight": 0.0, "length_bonus": 0.0},
    {"ctc_weight": 0.3, "length_bonus": 0.0},
    {"ctc_weight": 1.0, "length_bonus": 0.0},
    {"ctc_weight": 0.3, "length_bonus": 1.0},
    {"ctc_weight": 0.3, "length_bonus": -0.5},
    {"ctc_weight": 0.3, "length_bonus": 1.2, "lm_weights": (0.4,)},
    {"ctc_weight": 0.0, "length_bonus": 0.5, "lm_weights": (0.4, 0.2)},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_wide_beam_finds_the_best_of_all_texts(
    tiny: Tiny, utterances: Utterances, settings: dict[str, Any]
) -> None:
    model = tiny(vocabulary_size=5, ctc_weight=0.3, hidden_size=16)
    features, lengths = utterances(24, 17, frames=24)
    options = SearchOptions(beam=2**6, nbest=3, **settings)
    both = [Bigrams(vocabulary(5), 1.0), transformer(vocabulary(5))]
    search = Search([model], options, both[: len(options.lm_weights)])
    with torch.no_grad():
        assert model.ctc is not None
        model.ctc.weight *= 8  # otherwise the empty text is the best
        encoded = [model.listen(features, lengths)]
        for row, hypotheses in enumerate(search(encoded, limits=torch.tensor([6, 6]))):
            count = int(lengths[row])
            alone = model.listen(features[row : row + 1, :count], lengths[row : row + 1])
            scores = {
                text: text_score(search, [alone], text)
                for size in range(7)
                for text in itertools.product((0, 1), repeat=size)
            }
            expected = sorted(scores, key=lambda text: -scores[text])[:3]
            assert [tuple(hypothesis.tokens) for hypothesis in hypotheses] == expected
            for hypothesis, text in zip(hypotheses, expected, strict=True):
                assert hypothesis.score == pytest.approx(scores[text], abs=1e-4)


def test_the_scores_of_a_hypothesis_add_up(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3)
    options = SearchOptions(4, 0.6, length_bonus=0.7, lm_weights=(0.3,), nbest=4)
    weights = {"speller": 0.4, "ctc": 0.6, "length": 0.7, "lm_1": 0.3, "repetition": 1.0}
    search = Search([model], options, [Bigrams(vocabulary(), 0.5)])
    for hypotheses in search([encode(model, utterances)]):
        for hypothesis in hypotheses:
            assert hypothesis.scores.keys() == weights.keys()
            total = sum(weights[name] * score for name, score in hypothesis.scores.items())
            assert hypothesis.score == pytest.approx(total)
            assert hypothesis.scores["length"] == len(hypothesis.tokens)


def test_the_best_hypotheses_are_different_and_in_order(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3)
    encoded = encode(model, utterances)
    ranked = Search([model], SearchOptions(beam=6, nbest=10))([encoded])
    for hypotheses, single in zip(
        ranked, best(Search([model], SearchOptions(beam=6)), encoded), strict=True
    ):
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(hypothesis.tokens) for hypothesis in hypotheses}) == len(hypotheses) > 1
        assert hypotheses[0].tokens == single.tokens


def test_a_beam_of_one_without_ctc_equals_greedy_search(trained: Trained) -> None:
    model, encoded = trained
    # Two texts, so that it is a beam search: the second is of no interest here.
    beam = Search([model], SearchOptions(beam=1, length_bonus=0.0, nbest=2))
    for narrow, greedy in zip(best(beam, encoded), greedy_search(model, encoded), strict=True):
        if not greedy.finished:
            continue  # greedy search cuts it off, beam search ends it where it scores best
        assert narrow.tokens == greedy.tokens
        assert narrow.finished
        assert narrow.probabilities == pytest.approx(greedy.probabilities, abs=1e-4)
        np.testing.assert_allclose(narrow.alignment, greedy.alignment, rtol=0, atol=1e-4)


def test_a_uniform_language_model_with_the_matching_bonus_changes_nothing(
    tiny: Tiny, utterances: Utterances
) -> None:
    model = tiny(ctc_weight=0.3)
    encoded = encode(model, utterances)
    uniform = Bigrams(vocabulary(), 0.0)
    options = SearchOptions(
        beam=4, lm_weights=(0.5,), length_bonus=0.3 - 0.5 * uniform.table[0, 0].item()
    )
    plain = best(Search([model], SearchOptions(beam=4, length_bonus=0.3)), encoded)
    with_uniform = best(Search([model], options, [uniform]), encoded)
    assert [h.tokens for h in plain] == [h.tokens for h in with_uniform]


def terms() -> Terms:
    return Terms.from_terms([("가각", 1.0), ("각갂갃", 2.0)], vocabulary())


def test_a_batch_equals_its_members_with_every_scorer(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3, score_function="location", feed_context=True)
    second = tiny(ctc_weight=0.3, hidden_size=24)
    options = SearchOptions(
        4,
        length_bonus=0.5,
        coverage_weight=0.2,
        lm_weights=(0.3, 0.2),
        internal_lm_weight=0.1,
        nbest=3,
    )
    language_models = [Bigrams(vocabulary(), 1.0), transformer(vocabulary())]
    search = Search([model, second], options, language_models, terms())
    batch = search([encode(model, utterances), encode(second, utterances)])
    for row, hypotheses in enumerate(batch):
        alone = [encode_alone(member, utterances, row) for member in (model, second)]
        (expected,) = search(alone)
        assert [h.tokens for h in hypotheses] == [h.tokens for h in expected]
        for one, other in zip(hypotheses, expected, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-3)
            np.testing.assert_allclose(one.alignment, other.alignment, rtol=0, atol=1e-4)


@pytest.mark.parametrize("score_function", ["dot", "location"])
def test_going_on_without_utterances_that_are_done_changes_nothing(
    tiny: Tiny,
    utterances: Utterances,
    monkeypatch: pytest.MonkeyPatch,
    score_function: str,
) -> None:
    model = tiny(ctc_weight=0.3, score_function=score_function)
    encoded = encode(model, utterances)
    options = SearchOptions(4, length_bonus=0.5, coverage_weight=0.2, lm_weights=(0.3,), nbest=3)
    search = Search([model], options, [transformer(vocabulary())], terms())
    expected = search([encoded])
    steps = {len(hypotheses[0].tokens) for hypotheses in expected}
    assert len(steps) > 2  # they end one after the other
    for share in (0.01, 1.0):  # as soon as one is done, and never
        monkeypatch.setattr(beam_search, "_WORTH_DROPPING", share)
        for one, other in zip(search([encoded]), expected, strict=True):
            assert [h.tokens for h in one] == [h.tokens for h in other]
            for found, before in zip(one, other, strict=True):
                assert found.scores == pytest.approx(before.scores, abs=1e-5)
                assert found.probabilities == pytest.approx(before.probabilities, abs=1e-5)
                np.testing.assert_allclose(found.alignment, before.alignment, rtol=0, atol=1e-5)


def test_texts_may_score_the_same(tiny: Tiny, utterances: Utterances) -> None:
    """A bonus makes each longer text better, and all of one length are as good as each other."""
    model = tiny(ctc_weight=0.0)
    with torch.no_grad():
        model.speller.out.weight.zero_()
        model.speller.out.bias.zero_()
    options = SearchOptions(beam=4, length_bonus=5.0, nbest=2)
    for first, second in Search([model], options)([encode(model, utterances)]):
        assert first.score == second.score
        assert first.tokens != second.tokens
        assert len(first.tokens) == len(second.tokens)


def test_two_of_the_same_recogniser_equal_one(tiny: Tiny, utterances: Utterances) -> None:
    model = tiny(ctc_weight=0.3)
    encoded = encode(model, utterances)
    options = SearchOptions(beam=4)
    one = best(Search([model], options), encoded)
    two = best(Search([model, model], options), encoded)
    assert [h.tokens for h in one] == [h.tokens for h in two]
    assert [h.score for h in one] == pytest.approx([h.score for h in two])


def test_a_model_that_never_ends_is_stopped(tiny: Tiny, utterances: Utterances) -> None:
    """At the length limit, or where CTC leaves no frame for another character."""
    model = tiny(ctc_weight=0.3)
    with torch.no_grad():
        model.speller.out.bias[EOS] = -torch.inf
    encoded = encode(model, utterances)
    for row, hypothesis in enumerate(best(Search([model], SearchOptions(beam=3)), encoded)):
        most = min(length_limit(model, encoded, row), int(encoded.ctc_lengths[row]))
        assert 0 < len(hypothesis.tokens) <= most
        assert not hypothesis.finished
    by_speller = Search([model], SearchOptions(beam=3, ctc_weight=0.0, length_bonus=0.0))
    for row, hypothesis in enumerate(best(by_speller, encoded)):
        assert len(hypothesis.tokens) == length_limit(model, encoded, row)
        assert not hypothesis.finished


def test_a_text_that_repeats_itself_is_stopped_and_reported(
    tiny: Tiny, utterances: Utterances
) -> None:
    model = tiny(ctc_weight=0.0)
    with torch.no_grad():
        model.speller.out.weight.zero_()
        model.speller.out.bias.zero_()
        model.speller.out.bias[5] = 50.0  # always the same character
        model.speller.out.bias[6] = 10.0
        model.speller.out.bias[EOS] = -torch.inf
    encoded = encode(model, utterances)
    looped = best(Search([model], SearchOptions(beam=1, length_bonus=0.0, nbest=2)), encoded)
    for hypothesis in looped:
        text = hypothesis.tokens
        for period in range(1, 17):
            copies = max(4, -(-12 // period))
            for start in range(len(text) - period * (copies + 1) + 1):
                loop = text[start : start + period * (copies + 1)]
                assert loop[:-period] != loop[period:]
    assert [hypothesis.repetitive for hypothesis in looped] == [
        len(hypothesis.tokens) >= 13 for hypothesis in looped
    ]
    assert any(hypothesis.repetitive for hypothesis in looped)


def test_an_expected_term_wins_where_the_sound_leaves_it_open(
    tiny: Tiny, utterances: Utterances
) -> None:
    model = tiny(ctc_weight=0.3)
    encoded = encode(model, utterances)
    plain = best(Search([model], SearchOptions(beam=8)), encoded)
    with_terms = Search([model], SearchOptions(beam=8, term_weight=5.0), terms=terms())
    biased = best(with_terms, encoded)
    units = vocabulary()
    assert not any("각갂갃" in units.decode(h.tokens) for h in plain)
    assert any("각갂갃" in units.decode(h.tokens) for h in biased)


def test_a_language_model_gets_a_wide_beam_by_default(tiny: Tiny) -> None:
    for ctc_weight in (0.0, 0.3):
        model = tiny(ctc_weight=ctc_weight)
        language_models = [Bigrams(vocabulary(), 1.0)]
        assert Search([model], language_models=language_models).width == LM_BEAM_WIDTH
        assert Search([model], SearchOptions(4), language_models).width == 4
