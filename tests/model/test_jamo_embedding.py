"""Syllables share the weights of their jamo in training; a published model has plain weights."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from sorigeul.base.errors import UserError
from sorigeul.model.config import LASConfig
from sorigeul.model.jamo_embedding import merged_state_dict, share_jamo
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.description import PretrainedModel
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.pretrained.publishing import publish
from sorigeul.sound.feature_config import FeatureConfig
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


# Units that are in no transcript.

SEEN = Vocabulary.from_texts(["각 나 단 a?"])
UNSEEN = Vocabulary((*SEEN.units[:-3], "간", "낙", *SPECIALS))


def take_step(
    layer: nn.Module, optimizer: torch.optim.Optimizer, inputs: torch.Tensor, targets: torch.Tensor
) -> None:
    """One step on the cross entropy; the gradient stays."""
    optimizer.zero_grad()
    nn.functional.cross_entropy(layer(inputs), targets).backward()
    optimizer.step()


def test_an_unseen_unit_is_what_its_letters_say_with_the_mean_bias() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(6, len(UNSEEN))
    jamo_ids = torch.tensor(UNSEEN.jamo_ids())
    share_jamo(layer, jamo_ids, unseen_units=2)
    parameters = dict(layer.named_parameters())
    before = {name: value.detach().clone() for name, value in parameters.items()}
    inputs, targets = torch.randn(9, 6), torch.tensor(SEEN.encode("각나단각나단각나 "))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    for _ in range(3):
        take_step(layer, optimizer, inputs, targets)
    unseen = slice(-5, -3)
    for name in ("parametrizations.weight.original", "parametrizations.bias.original"):
        assert torch.equal(parameters[name][unseen], before[name][unseen])
        gradient = parameters[name].grad
        assert gradient is not None
        assert not gradient[unseen].any()
        assert gradient[:-5].abs().sum(-1).all()
    table = parameters["parametrizations.weight.0.table"]
    assert not torch.equal(table, before["parametrizations.weight.0.table"])
    state = merged_state_dict(nn.ModuleDict({"out": layer}))
    assert torch.allclose(state["out.weight"][unseen], table[jamo_ids[unseen] - 1].sum(1))
    syllables = [UNSEEN.units.index(unit) for unit in "각나단"]
    mean = state["out.bias"][syllables].mean()
    assert torch.allclose(state["out.bias"][unseen], mean.expand(2))
    logits = layer(inputs)
    expected = inputs @ table[jamo_ids[unseen] - 1].sum(1).T + mean
    assert torch.allclose(logits[:, unseen], expected, atol=1e-6)


def test_without_unseen_units_nothing_is_parametrized_but_the_weight() -> None:
    layers = [nn.Linear(6, len(UNSEEN)) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    for layer, arguments in zip(layers, ((), (0,)), strict=True):
        torch.manual_seed(0)
        share_jamo(layer, torch.tensor(UNSEEN.jamo_ids()), *arguments)
    names = {"bias", "parametrizations.weight.original", "parametrizations.weight.0.table"}
    assert layers[1].state_dict().keys() == names
    assert torch.equal(layers[0].weight, layers[1].weight)


def test_a_model_with_unseen_units_is_published_whole(tmp_path: Path) -> None:
    config = replace(CONFIG, vocabulary_size=len(UNSEEN))
    torch.manual_seed(0)
    model = ListenAttendSpell(config, torch.tensor(UNSEEN.jamo_ids()), unseen_units=2).eval()
    features, lengths = torch.randn(1, 40, 8), torch.tensor([40])
    tokens = torch.tensor([UNSEEN.encode("각간낙")])
    publish(
        tmp_path, PretrainedModel(model, FeatureConfig(n_mels=8), UNSEEN, "x", {}, unseen_units=2)
    )
    loaded = load_pretrained(tmp_path)
    assert loaded.unseen_units == 2
    with torch.no_grad():
        output = model(features, lengths, tokens)
        loaded_output = loaded.model(features, lengths, tokens)
    assert torch.equal(output.logits, loaded_output.logits)
    assert torch.equal(output.ctc_logits, loaded_output.ctc_logits)


def test_most_syllables_are_recognised_that_were_never_a_target() -> None:
    """240 syllables sound like their letters; a layer that learns 206 of them knows the others."""
    torch.manual_seed(0)
    initials, vowels, finals = (0, 2, 3, 5, 6, 7, 9, 12), (0, 4, 8, 13, 18, 20), (0, 1, 4, 8, 16)
    syllables = [
        chr(0xAC00 + 588 * initial + 28 * vowel + final)
        for initial in initials
        for vowel in vowels
        for final in finals
    ]
    unseen = syllables[5::7]
    seen = [syllable for syllable in syllables if syllable not in unseen]
    vocabulary = Vocabulary((*seen, *unseen, *SPECIALS))
    jamo_ids = torch.tensor(vocabulary.jamo_ids())
    sounds = torch.randn(int(jamo_ids.max()) + 1, 32)
    sounds[0] = 0.0
    heard = sounds[jamo_ids[:-3]].sum(1)
    layer = nn.Linear(32, len(vocabulary))
    share_jamo(layer, jamo_ids, len(unseen))
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(60):
        targets = torch.randint(len(seen), (64,))
        take_step(layer, optimizer, heard[targets] + 1.5 * torch.randn(64, 32), targets)
    right = layer(heard).argmax(1) == torch.arange(len(syllables))
    assert right[: len(seen)].float().mean() > 0.95
    assert right[len(seen) :].float().mean() > 0.5  # by chance 0.4 %
