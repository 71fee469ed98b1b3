"""Syllables share the weights of their jamo in training; a published model has plain weights."""

import unicodedata
from pathlib import Path

import pytest
import torch
from torch import nn

from sorigeul.base.errors import UserError
from sorigeul.model.config import LASConfig
from sorigeul.model.jamo_embedding import merged_state_dict, share_jamo
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


def build_model() -> ListenAttendSpell:
    torch.manual_seed(0)
    return ListenAttendSpell(CONFIG, torch.tensor(VOCABULARY.jamo_ids()))


def test_jamo_are_those_of_the_unicode_decomposition() -> None:
    """Two units have jamo ids in common exactly where their decompositions have jamo in common."""
    ids_by_unit = dict(zip(VOCABULARY.units, VOCABULARY.jamo_ids(), strict=True))
    for unit, ids in ids_by_unit.items():
        jamo = unicodedata.normalize("NFD", unit) if "가" <= unit <= "힣" else ""
        assert sum(jamo_id > 0 for jamo_id in ids) == len(jamo)
        for other, other_ids in ids_by_unit.items():
            if jamo and "가" <= other <= "힣":
                other_jamo = unicodedata.normalize("NFD", other)
                assert len(set(ids) & set(other_ids) - {0}) == len(set(jamo) & set(other_jamo))
    assert ids_by_unit["a"] == ids_by_unit[" "] == ids_by_unit["</s>"] == (0, 0, 0)
    all_syllables = Vocabulary((*map(chr, range(0xAC00, 0xD7A4)), *SPECIALS)).jamo_ids()
    assert len(set(all_syllables)) == 11_172 + 1
    jamo_ids = {jamo_id for ids in all_syllables for jamo_id in ids}
    assert jamo_ids == set(range(19 + 21 + 27 + 1))


def test_a_syllable_learns_from_others_with_the_same_jamo() -> None:
    """Training on 각 and 난 changes 간, which is not in the data, but no syllable of other jamo."""
    layer = nn.Linear(4, len(VOCABULARY), bias=False)
    share_jamo(layer, torch.tensor(VOCABULARY.jamo_ids()))
    before = layer.weight.detach().clone()
    inputs = torch.ones(2, 4)
    targets = torch.tensor(VOCABULARY.encode("각난"))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    (-(layer(inputs).gather(1, targets.unsqueeze(1)).sum())).backward()
    optimizer.step()
    row_changes = (layer.weight.detach() - before).sum(1)
    change = {unit: float(row_changes[index]) for index, unit in enumerate(VOCABULARY.units)}
    assert change["간"] > change["감"] > 0  # 간 has three jamo of the two syllables, 감 has two
    assert change["했"] == change["a"] == change[" "] == 0


def test_a_published_model_has_plain_weights_and_the_same_output(tmp_path: Path) -> None:
    model = build_model().eval()
    features, lengths = torch.randn(2, 40, 8), torch.tensor([40, 32])
    tokens = torch.tensor([VOCABULARY.encode("각간나"), VOCABULARY.encode("나난감")])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
        output = model(features, lengths, tokens)
        publish(tmp_path, PretrainedModel(model, FeatureConfig(n_mels=8), VOCABULARY, "x", {}))
        loaded = load_pretrained(tmp_path).model
        loaded_output = loaded(features, lengths, tokens)
    assert not any("parametrizations" in name for name in loaded.state_dict())
    assert torch.equal(output.logits, loaded_output.logits)
    assert torch.equal(output.ctc_logits, loaded_output.ctc_logits)


def test_a_whole_matrix_can_be_assigned() -> None:
    model = build_model()
    weight = torch.randn(len(VOCABULARY), CONFIG.width)
    model.ctc.weight = weight
    assert torch.allclose(model.ctc.weight, weight, atol=1e-6)
    assert torch.allclose(merged_state_dict(model)["ctc.weight"], weight, atol=1e-6)


def test_initial_rows_have_the_standard_deviation_of_a_plain_layer() -> None:
    torch.manual_seed(0)
    vocabulary = Vocabulary((*map(chr, range(0xAC00, 0xB000)), *SPECIALS))
    layer = nn.Linear(64, len(vocabulary))
    expected = float(layer.weight.detach().std())
    share_jamo(layer, torch.tensor(vocabulary.jamo_ids()))
    assert float(layer.weight.detach().std()) == pytest.approx(expected, rel=0.1)


def test_a_jamo_vocabulary_is_refused() -> None:
    with pytest.raises(UserError, match="share_letters is for syllables"):
        Settings().changed({"share_letters": True, "vocabulary": "jamo"}, "test")
