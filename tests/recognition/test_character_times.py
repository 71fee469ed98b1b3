"""Times of characters: in their order, within the utterance, evenly spread without a CTC head."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import tones

from sorigeul.pretrained.loading import load_pretrained
from sorigeul.recognition.character_times import character_times
from sorigeul.search.greedy import greedy_search
from sorigeul.sound.features import LogMel


@pytest.mark.parametrize("reversed_input", [False, True])
def test_a_character_is_spoken_in_its_quarter(run: Path, reversed_input: bool) -> None:
    """Syllables of one length: each lies about where its number says."""
    pretrained = load_pretrained(run)
    waveforms = torch.from_numpy(tones.synthesize("가나다라", 1))[None]
    lengths = torch.tensor([waveforms.shape[1]])
    encoded = pretrained.model.listen(*LogMel(pretrained.features)(waveforms, lengths))
    hypotheses = greedy_search(pretrained.model, encoded)
    assert pretrained.vocabulary.decode(hypotheses[0].tokens) == "가나다라"
    times = character_times(pretrained.model, encoded, hypotheses, [0], reversed_input)[0]
    expected = [0.125, 0.375, 0.625, 0.875]
    expected = [1 - place for place in expected] if reversed_input else expected
    assert times == pytest.approx(expected, abs=0.13)
    assert character_times(pretrained.model, encoded, hypotheses, [], reversed_input) == {}


def test_without_a_ctc_head_all_take_equally_long(run: Path) -> None:
    model = load_pretrained(run).model
    without_ctc = type(model)(replace(model.config, ctc_weight=0.0)).eval()
    encoded = without_ctc.listen(torch.zeros(1, 80, model.config.n_mels), torch.tensor([80]))
    (hypothesis,) = greedy_search(without_ctc, encoded)
    hypothesis = replace(hypothesis, tokens=[0, 1])
    assert character_times(without_ctc, encoded, [hypothesis], [0], False) == {0: [0.25, 0.75]}
