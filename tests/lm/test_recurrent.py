"""The recurrent language model: probabilities, texts one by one and side by side, files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.lm.loading import load_language_model
from sorigeul.lm.recurrent import Cell, RecurrentConfig, RecurrentModel, RecurrentNetwork
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*"가나다라 마바사", *SPECIALS))
UNKNOWN = VOCABULARY.pad_id
TEXTS = torch.tensor([[0, 4, 2, 1, 3], [5, 5, UNKNOWN, 6, 0], [7, 1, 1, 4, UNKNOWN]])


def new_model(cell: Cell = "gru", **changes: Any) -> RecurrentModel:
    sizes: dict[str, Any] = {"hidden_size": 12, "embedding_size": 6, "layers": 2} | changes
    torch.manual_seed(3)
    network = RecurrentNetwork(RecurrentConfig(cell=cell, **sizes), VOCABULARY)
    with torch.no_grad():
        network.output_bias.normal_()
    return RecurrentModel(network, VOCABULARY)


def incremental_scores(model: RecurrentModel, texts: Tensor) -> Tensor:
    """Scores (N, U + 1, V) before each character of the texts (N, U), and after the last."""
    state = model.start(len(texts))
    scores = [model.scores(state)]
    for tokens in texts.T:
        state = model.advance(state, tokens)
        scores.append(model.scores(state))
    return torch.stack(scores, 1)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("embedding_size", [6, 12])
def test_a_text_that_grows_scores_as_the_whole_text(cell: Cell, embedding_size: int) -> None:
    model = new_model(cell, embedding_size=embedding_size)
    sos = torch.full((len(TEXTS), 1), VOCABULARY.sos_id)
    with torch.no_grad():
        whole = model.network(torch.cat([sos, TEXTS], 1)).log_softmax(-1)
    torch.testing.assert_close(incremental_scores(model, TEXTS), whole)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_batch_scores_as_its_members(cell: Cell) -> None:
    model = new_model(cell)
    one_by_one = torch.cat([incremental_scores(model, text.unsqueeze(0)) for text in TEXTS])
    torch.testing.assert_close(incremental_scores(model, TEXTS), one_by_one)


def test_probabilities_sum_to_one_without_start_and_padding() -> None:
    scores = incremental_scores(new_model(), TEXTS)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(scores.shape[:2]))
    never = [VOCABULARY.sos_id, VOCABULARY.pad_id]
    assert (scores[..., never] == -torch.inf).all()
    assert scores[..., :-3].isfinite().all()
    assert scores[..., VOCABULARY.eos_id].isfinite().all()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_selected_texts_go_on_as_themselves(cell: Cell) -> None:
    model, rows = new_model(cell), [2, 0, 0]
    state = model.start(3)
    for tokens in TEXTS[:, :3].T:
        state = model.advance(state, tokens)
    state = state.select(torch.tensor(rows))
    for tokens in TEXTS[rows, 3:].T:
        state = model.advance(state, tokens)
    expected = incremental_scores(model, TEXTS)[rows, -1]
    torch.testing.assert_close(model.scores(state), expected)


def test_an_unknown_character_is_read() -> None:
    model = new_model()
    known = incremental_scores(model, torch.tensor([[0, 1, 2]]))
    unknown = incremental_scores(model, torch.tensor([[0, UNKNOWN, 2]]))
    torch.testing.assert_close(known[:, :2], unknown[:, :2])
    assert not torch.allclose(known[:, 3, 0], unknown[:, 3, 0])


def test_a_saved_model_scores_as_before(tmp_path: Path) -> None:
    model = new_model("lstm")
    model.save(tmp_path, {"heldout_bits_per_character": 1.5})
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert (config["format"], config["kind"]) == ("sorigeul-lm/1", "recurrent")
    assert config["heldout_bits_per_character"] == 1.5
    loaded = load_language_model(tmp_path)
    assert isinstance(loaded, RecurrentModel)
    assert loaded.vocabulary == VOCABULARY
    assert loaded.fingerprint == model.fingerprint
    assert torch.equal(incremental_scores(loaded, TEXTS), incremental_scores(model, TEXTS))


def test_fingerprints_tell_models_apart() -> None:
    model, same, other = new_model(), new_model(), new_model()
    with torch.no_grad():
        other.network.output_bias[0] += 1
    other = RecurrentModel(other.network, VOCABULARY)
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
    ("changes", "message"),
    [
        ({"cell": "rnn"}, "cell is rnn, but must be gru or lstm"),
        ({"hidden_size": 0}, "hidden_size is 0, but must be at least 1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_impossible_shapes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        RecurrentConfig(**changes)


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
