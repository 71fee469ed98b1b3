"""Networks as language models: probabilities, texts one by one and side by side, files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.lm.loading import load_language_model
from sorigeul.lm.network import CharacterNetwork, NetworkModel
from sorigeul.lm.recurrent import RecurrentConfig, RecurrentNetwork
from sorigeul.lm.transformer import TransformerConfig, TransformerNetwork
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*"가나다라 마바사", *SPECIALS))
UNKNOWN = VOCABULARY.pad_id
TEXTS = torch.tensor([[0, 4, 2, 1, 3], [5, 5, UNKNOWN, 6, 0], [7, 1, 1, 4, UNKNOWN]])


@dataclass(frozen=True)
class Shape:
    """A network and the size of its layers."""

    network: type[CharacterNetwork]
    settings: dict[str, Any]

    def __str__(self) -> str:
        return " ".join([self.network.kind, *map(str, self.settings.values())])


GRU, LSTM = (
    Shape(RecurrentNetwork, {"cell": cell, "hidden_size": 12, "embedding_size": size, "layers": 2})
    for cell, size in (("gru", 6), ("lstm", 12))
)
TRANSFORMER, SHORT_SIGHTED = (
    Shape(
        TransformerNetwork,
        {"transformer_width": 12, "transformer_layers": 2, "attention_heads": 3, "context": size},
    )
    for size in (50, 3)
)
SHAPES = [GRU, LSTM, TRANSFORMER, SHORT_SIGHTED]


def new_model(shape: Shape = GRU) -> NetworkModel:
    torch.manual_seed(3)
    network = shape.network(shape.network.config_type(**shape.settings), VOCABULARY)
    with torch.no_grad():
        network.output_bias.normal_()
    return NetworkModel(network, VOCABULARY)


def incremental_scores(model: NetworkModel, texts: Tensor) -> Tensor:
    """Scores (N, U + 1, V) before each character of the texts (N, U), and after the last."""
    state = model.start(len(texts))
    scores = [model.scores(state)]
    for tokens in texts.T:
        state = model.advance(state, tokens)
        scores.append(model.scores(state))
    return torch.stack(scores, 1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_text_that_grows_scores_as_the_whole_text(shape: Shape) -> None:
    model = new_model(shape)
    sos = torch.full((len(TEXTS), 1), VOCABULARY.sos_id)
    with torch.no_grad():
        whole = model.network(torch.cat([sos, TEXTS], 1)).log_softmax(-1)
    torch.testing.assert_close(incremental_scores(model, TEXTS), whole)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_batch_scores_as_its_members(shape: Shape) -> None:
    model = new_model(shape)
    one_by_one = torch.cat([incremental_scores(model, text.unsqueeze(0)) for text in TEXTS])
    torch.testing.assert_close(incremental_scores(model, TEXTS), one_by_one)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_probabilities_sum_to_one_without_start_and_padding(shape: Shape) -> None:
    scores = incremental_scores(new_model(shape), TEXTS)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(scores.shape[:2]))
    never = [VOCABULARY.sos_id, VOCABULARY.pad_id]
    assert (scores[..., never] == -torch.inf).all()
    assert scores[..., :-3].isfinite().all()
    assert scores[..., VOCABULARY.eos_id].isfinite().all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_selected_texts_go_on_as_themselves(shape: Shape) -> None:
    model, rows = new_model(shape), [2, 0, 0]
    state = model.start(3)
    for tokens in TEXTS[:, :3].T:
        state = model.advance(state, tokens)
    state = state.select(torch.tensor(rows))
    for tokens in TEXTS[rows, 3:].T:
        state = model.advance(state, tokens)
    expected = incremental_scores(model, TEXTS)[rows, -1]
    torch.testing.assert_close(model.scores(state), expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_an_unknown_character_is_read(shape: Shape) -> None:
    model = new_model(shape)
    known = incremental_scores(model, torch.tensor([[0, 1, 2]]))
    unknown = incremental_scores(model, torch.tensor([[0, UNKNOWN, 2]]))
    torch.testing.assert_close(known[:, :2], unknown[:, :2])
    assert not torch.allclose(known[:, 3, 0], unknown[:, 3, 0])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_saved_model_scores_as_before(tmp_path: Path, shape: Shape) -> None:
    model = new_model(shape)
    model.save(tmp_path, {"heldout_bits_per_character": 1.5})
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert (config["format"], config["kind"]) == ("sorigeul-lm/1", shape.network.kind)
    assert config["heldout_bits_per_character"] == 1.5
    loaded = load_language_model(tmp_path)
    assert isinstance(loaded, NetworkModel)
    assert loaded.vocabulary == VOCABULARY
    assert loaded.fingerprint == model.fingerprint
    assert torch.equal(incremental_scores(loaded, TEXTS), incremental_scores(model, TEXTS))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fingerprints_tell_models_apart(shape: Shape) -> None:
    model, same, other = (new_model(shape) for _ in range(3))
    with torch.no_grad():
        other.network.output_bias[0] += 1
    other = NetworkModel(other.network, VOCABULARY)
    assert model.fingerprint == same.fingerprint != other.fingerprint


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def other_shape(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model"]["hidden_size"] = 13
    path.write_text(json.dumps(config), encoding="utf-8")


def other_setting(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model"]["attention"] = 13
    path.write_text(json.dumps(config), encoding="utf-8")


def other_vocabulary(path: Path) -> None:
    path.write_text(Vocabulary((*"가나다라마바사아", *SPECIALS)).to_json(), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("config.json", Path.unlink, "holds no finished language model"),
        ("config.json", cut, "config.json is damaged"),
        ("config.json", other_shape, "model.safetensors does not fit config.json"),
        ("config.json", other_setting, "has settings this version does not know"),
        ("vocabulary.json", Path.unlink, "vocabulary.json missing"),
        ("vocabulary.json", cut, "vocabulary.json: not a usable vocabulary"),
        ("vocabulary.json", other_vocabulary, "is not the vocabulary of the model"),
        ("model.safetensors", Path.unlink, "model.safetensors is missing"),
        ("model.safetensors", cut, "model.safetensors is damaged"),
    ],
)
def test_a_damaged_folder_is_a_users_error(
    tmp_path: Path, name: str, damage: Any, message: str
) -> None:
    new_model().save(tmp_path, {})
    damage(tmp_path / name)
    with pytest.raises(UserError, match=message) as raised:
        load_language_model(tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (RecurrentConfig, {"cell": "rnn"}, "cell is rnn, but must be gru or lstm"),
        (RecurrentConfig, {"hidden_size": 0}, "hidden_size is 0, but must be at least 1"),
        (RecurrentConfig, {"dropout": 1.0}, "dropout is 1.0"),
        (TransformerConfig, {"context": 0}, "context is 0, but must be at least 1"),
        (
            TransformerConfig,
            {"transformer_width": 12, "attention_heads": 4},
            "transformer_width is 12, but must be a multiple of twice the 4 attention_heads",
        ),
        (TransformerConfig, {"transformer_dropout": 1.0}, "transformer_dropout is 1.0"),
    ],
)
def test_impossible_shapes_are_refused(config: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config(**changes)


@pytest.mark.parametrize("source", ["./nowhere", "a/b/c"])
def test_a_place_without_a_model_is_refused(source: str) -> None:
    with pytest.raises(UserError, match="neither the folder of a language model nor"):
        load_language_model(source)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    new_model().save(tmp_path, {})
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**config, "kind": "oracle"}))
    with pytest.raises(UserError, match=r"kind this version does not know \(oracle\)"):
        load_language_model(tmp_path)
