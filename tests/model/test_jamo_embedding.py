"""Syllables that share what their letters have in common."""

import unicodedata
from pathlib import Path

import pytest
import torch
from torch import nn

from sorigeul.base.errors import UserError
from sorigeul.model.config import LASConfig
from sorigeul.model.jamo_embedding import merged_state_dict, share_letters
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.loading import PretrainedModel, load_pretrained
from sorigeul.pretrained.publishing import publish
from sorigeul.sound.features import FeatureConfig
from sorigeul.text.vocabulary import SPECIALS, Vocabulary
from sorigeul.training.settings import Settings

VOCABULARY = Vocabulary.from_texts(["각 간 감 나 난 강가 했 a?"])
CONFIG = LASConfig(
    hidden_size=8,
    listener_layer_size=2,
    speller_layer_size=1,
    time_reduction=8,
    conv_channels=2,
    n_mels=8,
    ctc_weight=0.3,
    share_letters=True,
    dropout=0.0,
    vocabulary_size=len(VOCABULARY),
)


def learner() -> ListenAttendSpell:
    torch.manual_seed(0)
    return ListenAttendSpell(CONFIG, torch.tensor(VOCABULARY.jamo_ids()))


def test_letters_are_those_of_unicode() -> None:
    """Two units have a letter in common exactly where their decompositions have."""
    letters = dict(zip(VOCABULARY.units, VOCABULARY.jamo_ids(), strict=True))
    for one, mine in letters.items():
        spelled = unicodedata.normalize("NFD", one) if "가" <= one <= "힣" else ""
        assert sum(letter > 0 for letter in mine) == len(spelled)
        for other, others in letters.items():
            if spelled and "가" <= other <= "힣":
                theirs = unicodedata.normalize("NFD", other)
                assert len(set(mine) & set(others) - {0}) == len(set(spelled) & set(theirs))
    assert letters["a"] == letters[" "] == letters["</s>"] == (0, 0, 0)
    every = Vocabulary((*map(chr, range(0xAC00, 0xD7A4)), *SPECIALS)).jamo_ids()
    assert len(set(every)) == 11_172 + 1
    assert {letter for three in every for letter in three} == set(range(19 + 21 + 27 + 1))


def test_a_rare_syllable_is_what_its_letters_are() -> None:
    """What is learnt of 각 and 난 carries over to 간, which was not there, and not to others."""
    layer = nn.Linear(4, len(VOCABULARY), bias=False)
    share_letters(layer, torch.tensor(VOCABULARY.jamo_ids()))
    before = layer.weight.detach().clone()
    heard = torch.ones(2, 4)
    said = torch.tensor(VOCABULARY.encode("각난"))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    (-(layer(heard).gather(1, said.unsqueeze(1)).sum())).backward()
    optimizer.step()
    moved = (layer.weight.detach() - before).sum(1)
    row = {unit: float(moved[index]) for index, unit in enumerate(VOCABULARY.units)}
    assert row["간"] > row["감"] > 0  # three letters of the two, two of them
    assert row["했"] == row["a"] == row[" "] == 0


def test_published_it_is_a_plain_model_that_says_the_same(tmp_path: Path) -> None:
    model = learner().eval()
    features, lengths = torch.randn(2, 40, 8), torch.tensor([40, 32])
    tokens = torch.tensor([VOCABULARY.encode("각간나"), VOCABULARY.encode("나난감")])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        said = model(features, lengths, tokens)
        publish(tmp_path, PretrainedModel(model, FeatureConfig(n_mels=8), VOCABULARY, "x", {}))
        loaded = load_pretrained(tmp_path).model
        again = loaded(features, lengths, tokens)
    assert not any("parametrizations" in name for name in loaded.state_dict())
    assert torch.equal(said.logits, again.logits)
    assert torch.equal(said.ctc_logits, again.ctc_logits)


def test_a_matrix_can_be_given_whole() -> None:
    model = learner()
    weight = torch.randn(len(VOCABULARY), CONFIG.width)
    model.ctc.weight = weight
    assert torch.allclose(model.ctc.weight, weight, atol=1e-6)
    assert torch.allclose(merged_state_dict(model)["ctc.weight"], weight, atol=1e-6)


def test_to_begin_with_the_rows_have_the_size_of_a_plain_layer() -> None:
    torch.manual_seed(0)
    vocabulary = Vocabulary((*map(chr, range(0xAC00, 0xB000)), *SPECIALS))
    layer = nn.Linear(64, len(vocabulary))
    usual = float(layer.weight.detach().std())
    share_letters(layer, torch.tensor(vocabulary.jamo_ids()))
    assert float(layer.weight.detach().std()) == pytest.approx(usual, rel=0.1)


def test_letters_have_no_letters() -> None:
    with pytest.raises(UserError, match="share_letters is for syllables"):
        Settings().changed({"share_letters": True, "vocabulary": "jamo"}, "test")
