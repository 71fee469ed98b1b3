"""Rescoring: the second model's judgement of whole texts, and the order that follows from it."""

import math
from dataclasses import replace

import pytest
import torch
from helpers.listener_outputs import Tiny
from torch import Tensor

from sorigeul.model.las import ListenAttendSpell
from sorigeul.search.decoding import Search
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.search.options import SearchOptions
from sorigeul.search.rescoring import Rescorer
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import LogMel
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

CTC_WEIGHT = 0.4
SYLLABLES = tuple(chr(ord("가") + number) for number in range(27))
VOCABULARY = Vocabulary((*SYLLABLES, *SPECIALS))


def rescorer(model: ListenAttendSpell, vocabulary: Vocabulary = VOCABULARY) -> Rescorer:
    return Rescorer(model, LogMel(FeatureConfig(n_mels=8)), vocabulary, CTC_WEIGHT)


def sounds(*seconds: float) -> tuple[Tensor, Tensor]:
    """Noise (B, N), zero beyond the length of each, and the lengths (B,)."""
    lengths = torch.tensor([round(16_000 * duration) for duration in seconds])
    generator = torch.Generator().manual_seed(0)
    waveforms = 0.1 * torch.randn(len(seconds), int(lengths.max()), generator=generator)
    return waveforms * (torch.arange(waveforms.shape[1]) < lengths.unsqueeze(1)), lengths


def hypothesis(text: str, score: float) -> Hypothesis:
    return Hypothesis(VOCABULARY.encode(text), [], torch.zeros(0, 0), True, score, {"speller": 1.0})


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3])
@torch.no_grad()
def test_a_text_has_the_score_that_a_search_gives_it(tiny: Tiny, ctc_weight: float) -> None:
    waveforms, lengths = sounds(1.0, 0.6, 1.4)
    judge = rescorer(tiny(ctc_weight=ctc_weight))
    output = judge.model.listen(*judge.log_mel(waveforms, lengths))
    options = SearchOptions(beam=5, ctc_weight=CTC_WEIGHT, length_bonus=0.0, nbest=5)
    ranked = Search([judge.model], options)([output])
    texts = [[VOCABULARY.decode(one.tokens) for one in several] for several in ranked]
    expected = [one.score for several in ranked for one in several]
    assert len(expected) > 10
    found = judge.log_probabilities(waveforms, lengths, texts)
    assert found.tolist() == pytest.approx(expected, abs=1e-3)


@torch.no_grad()
def test_a_batch_equals_its_members(tiny: Tiny) -> None:
    waveforms, lengths = sounds(1.0, 0.5, 0.8)
    texts = [["가각갂", "", "가"], ["각"], ["갂갂", "가각갂갃간갅"]]
    judge = rescorer(tiny(ctc_weight=0.3))
    together = judge.log_probabilities(waveforms, lengths, texts)
    alone = [
        judge.log_probabilities(waveforms[row : row + 1, :length], lengths[row : row + 1], [[text]])
        for row, length in enumerate(lengths.tolist())
        for text in texts[row]
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-3)


@torch.no_grad()
def test_the_second_model_may_have_other_characters(tiny: Tiny) -> None:
    """The same model with its characters in another order judges the same."""
    waveforms, lengths = sounds(1.0)
    texts = [["가각갂", "갃간", ""]]
    order = [*torch.randperm(27).tolist(), 27, 28, 29]
    model, other = tiny(ctc_weight=0.3), tiny(ctc_weight=0.3)
    assert other.ctc is not None
    for weights in (
        other.speller.embedding.weight,
        *other.speller.out.parameters(),
        *other.ctc.parameters(),
    ):
        weights.copy_(weights[order])
    mixed = Vocabulary(tuple(VOCABULARY.units[unit] for unit in order))
    torch.testing.assert_close(
        rescorer(other, mixed).log_probabilities(waveforms, lengths, texts),
        rescorer(model).log_probabilities(waveforms, lengths, texts),
    )


@torch.no_grad()
def test_an_unknown_character_costs_a_blind_guess(tiny: Tiny) -> None:
    waveforms, lengths = sounds(0.7)
    judge = rescorer(tiny(ctc_weight=0.3))
    known, unknown = judge.log_probabilities(waveforms, lengths, [["가각", "가쀍각뷁"]])
    assert float(known - unknown) == pytest.approx(2 * math.log(30))


@torch.no_grad()
def test_a_text_that_cannot_be_has_a_finite_score(tiny: Tiny) -> None:
    waveforms, lengths = sounds(0.3)
    judge = rescorer(tiny(ctc_weight=0.3))
    (score,) = judge.log_probabilities(waveforms, lengths, [["가각" * 200]]).tolist()
    assert score == -1e4


def test_the_order_is_that_of_the_sum(tiny: Tiny) -> None:
    waveforms, lengths = sounds(0.8, 0.5)
    judge = rescorer(tiny(ctc_weight=0.3))
    texts = [["가", "각갂", "간"], ["갃", "갃가"]]
    ranked = [[hypothesis(text, -float(n)) for n, text in enumerate(some)] for some in texts]
    for weight in (0.0, 0.5, 2.0):
        scores = iter(judge.log_probabilities(waveforms, lengths, texts).tolist())
        expected = [
            [replace(one, score=one.score + weight * next(scores)) for one in some]
            for some in ranked
        ]
        for found, some in zip(
            judge(waveforms, lengths, ranked, VOCABULARY, weight), expected, strict=True
        ):
            in_order = sorted(some, key=lambda one: -one.score)
            assert [one.tokens for one in found] == [one.tokens for one in in_order]
            assert [one.score for one in found] == pytest.approx([one.score for one in in_order])
            assert all(one.scores.keys() == {"speller", "rescorer"} for one in found)
