"""Times of characters: in order, within the utterance, by CTC, the attention, or evenly spread."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import tones

from sorigeul import ListenAttendSpell
from sorigeul.model.las import ListenerOutput
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.recognition.character_times import (
    CharacterTimes,
    character_times,
    spell_out,
)
from sorigeul.search.greedy import greedy_search
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.sound.features import LogMel
from sorigeul.text.vocabulary import SPECIALS, Vocabulary


@pytest.fixture(scope="module")
def pretrained(run: Path) -> PretrainedModel:
    return load_pretrained(run)


def heard(pretrained: PretrainedModel, texts: Sequence[str]) -> ListenerOutput:
    """What the model's listener makes of some texts in one batch."""
    waveforms = [torch.from_numpy(tones.synthesize(text, 1)) for text in texts]
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    with torch.no_grad():
        return pretrained.model.listen(*LogMel(pretrained.features)(padded, lengths))


def without_ctc(model: ListenAttendSpell, **changes: bool) -> ListenAttendSpell:
    """An untrained model of the same shape without a CTC head."""
    torch.manual_seed(0)
    config = replace(model.config, ctc_weight=0.0, guide_weight=0.0, **changes)
    return ListenAttendSpell(config).eval()


def assert_in_order(times: CharacterTimes, count: int) -> None:
    assert times.spans.shape == (count, 2)
    edges = times.spans.ravel()
    assert np.all(np.diff(edges) >= 0)
    assert np.all(times.spans[:, 0] < times.spans[:, 1])
    assert count == 0 or 0 <= edges[0] < edges[-1] <= 1


def test_a_character_is_spoken_in_its_quarter(pretrained: PretrainedModel) -> None:
    """Syllables of one length: each lies about where its number says."""
    encoded = heard(pretrained, ["가나다라"])
    hypotheses = greedy_search(pretrained.model, encoded)
    assert pretrained.vocabulary.decode(hypotheses[0].tokens) == "가나다라"
    (times,) = character_times(pretrained.model, encoded, hypotheses, False)
    assert_in_order(times, 4)
    assert times.spans.mean(1) == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=0.13)
    assert times.ctc_probabilities is not None
    assert min(times.ctc_probabilities) > 0.1


def test_a_batch_has_the_same_times_as_its_members(pretrained: PretrainedModel) -> None:
    """So padding changes nothing."""
    texts = ["가나", "다라가나다", "라", "나나다가"]
    encoded = heard(pretrained, texts)
    hypotheses = greedy_search(pretrained.model, encoded)
    together = character_times(pretrained.model, encoded, hypotheses, False)
    for text, hypothesis, times in zip(texts, hypotheses, together, strict=True):
        alone = heard(pretrained, [text])
        (expected,) = character_times(pretrained.model, alone, [hypothesis], False)
        assert times.spans == pytest.approx(expected.spans)
        assert times.ctc_probabilities == pytest.approx(expected.ctc_probabilities, abs=1e-4)


def test_a_text_that_ctc_cannot_align_is_spread_evenly(pretrained: PretrainedModel) -> None:
    """As is an empty one. The others of the batch keep their alignment."""
    encoded = heard(pretrained, ["가나", "다라", "가"])
    (hypothesis, *_) = greedy_search(pretrained.model, encoded)
    frames = int(encoded.ctc_lengths[1])
    long = replace(hypothesis, tokens=[0, 1] * frames)
    empty = replace(hypothesis, tokens=[])
    times = character_times(pretrained.model, encoded, [hypothesis, long, empty], False)
    assert times[0].ctc_probabilities is not None
    assert times[1].ctc_probabilities is None
    assert np.diff(times[1].spans[:, 0]) == pytest.approx(1 / (2 * frames))
    for row, count in zip(times, (len(hypothesis.tokens), 2 * frames, 0), strict=True):
        assert_in_order(row, count)


@pytest.mark.parametrize("reversed_input", [False, True])
def test_without_a_ctc_head_the_attention_tells_the_times(
    pretrained: PretrainedModel, reversed_input: bool
) -> None:
    """Its frames are those of the model, which may have heard the recording backwards."""
    model = without_ctc(pretrained.model)
    encoded = heard(pretrained, ["가나다라", "가나"])
    attention = np.full((3, 10), 0.01, np.float32)
    for character, frames in enumerate(([1, 2], [4], [7, 8])):
        attention[character, frames] = 0.4
    hypotheses = [
        Hypothesis(
            tokens=[0, 1, 2],
            probabilities=[0.5] * 3,
            alignment=attention[:, ::-1] if reversed_input else attention,
            finished=True,
        ),
        Hypothesis(
            tokens=[], probabilities=[], alignment=np.zeros((0, 7), np.float32), finished=True
        ),
    ]
    times, none = character_times(model, encoded, hypotheses, reversed_input)
    assert times.ctc_probabilities is None
    assert_in_order(times, 3)
    assert times.spans == pytest.approx(np.array([[0.1, 0.3], [0.4, 0.5], [0.7, 0.9]]))
    assert_in_order(none, 0)


def test_an_attention_that_jumps_back_gives_times_in_order(pretrained: PretrainedModel) -> None:
    model = without_ctc(pretrained.model)
    encoded = heard(pretrained, ["가나다라"])
    generator = torch.Generator().manual_seed(3)
    attention = torch.rand(6, 12, generator=generator).softmax(1).numpy()
    hypothesis = Hypothesis([0] * 6, [0.5] * 6, attention, True)
    (times,) = character_times(model, encoded, [hypothesis], False)
    assert_in_order(times, 6)
    (cramped,) = character_times(
        model, encoded, [replace(hypothesis, alignment=attention[:, :3])], False
    )
    assert cramped.spans[:, 0] == pytest.approx(np.arange(6) / 6)


def test_without_attention_all_take_equally_long(pretrained: PretrainedModel) -> None:
    model = without_ctc(pretrained.model, use_attention=False)
    encoded = heard(pretrained, ["가나다라"])
    (hypothesis,) = greedy_search(model, encoded)
    hypothesis = replace(hypothesis, tokens=[0, 1], probabilities=[0.5, 0.5])
    (times,) = character_times(model, encoded, [hypothesis], False)
    assert times.spans.tolist() == [[0, 0.5], [0.5, 1]]


def test_the_characters_of_the_tone_language_lie_where_they_were_put(
    pretrained: PretrainedModel,
) -> None:
    """Of forty recordings, the median error of a character's middle is below 80 ms."""
    texts = [text for text in tones.texts(48)[8:] if len(text) > 2]
    encoded = heard(pretrained, texts)
    hypotheses = [
        Hypothesis(pretrained.vocabulary.encode(text), [], torch.zeros(0), True) for text in texts
    ]
    errors = [
        abs(float(span.mean()) * len(text) - (place + 0.5)) * tones.SECONDS
        for text, times in zip(
            texts, character_times(pretrained.model, encoded, hypotheses, False), strict=True
        )
        for place, span in enumerate(times.spans)
    ]
    assert np.median(errors) < 0.08


def test_characters_share_the_time_of_their_unit_and_the_space_before_a_word_has_none() -> None:
    vocabulary = Vocabulary((*" 가나다", " 가나", "나다", *SPECIALS), "bpe")
    tokens = [4, 0, 5, 4]
    hypothesis = Hypothesis(tokens, [0.9, 0.8, 0.7, 0.6], np.eye(4, 6, dtype=np.float32), True)
    spans = np.array([[0.1, 0.3], [0.3, 0.4], [0.4, 0.6], [0.7, 0.8]])
    spelled, times = spell_out(hypothesis, CharacterTimes(spans, [0.1, 0.2, 0.3, 0.4]), vocabulary)
    assert "".join(vocabulary.units[token] for token in spelled.tokens) == "가나 나다 가나"
    assert spelled.probabilities == [0.9, 0.9, 0.8, 0.7, 0.7, 0.6, 0.6, 0.6]
    assert times.ctc_probabilities == [0.1, 0.1, 0.2, 0.3, 0.3, 0.4, 0.4, 0.4]
    assert spelled.alignment.argmax(1).tolist() == [0, 0, 1, 2, 2, 3, 3, 3]
    starts = [0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.7, 0.75]
    assert times.spans[:, 0] == pytest.approx(starts)
    assert times.spans[:, 1] == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8])


def test_nothing_is_spelt_out_of_nothing_or_of_single_characters() -> None:
    empty = Hypothesis([], [], np.zeros((0, 6), np.float32), True)
    none = CharacterTimes(np.empty((0, 2)), None)
    vocabulary = Vocabulary((*" 가", " 가", *SPECIALS), "bpe")
    spelled, times = spell_out(empty, none, vocabulary)
    assert (spelled.tokens, spelled.alignment.shape, times.spans.shape) == ([], (0, 6), (0, 2))
    syllables = Vocabulary((*" 가", *SPECIALS))
    assert spell_out(empty, none, syllables) == (empty, none)
