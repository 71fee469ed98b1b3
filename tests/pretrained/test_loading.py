"""Loading a published model: it is the model that was published, or the error is one line."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.pickles import Trap
from helpers.pretrained import SYLLABLES, pretrained
from torch import Tensor

from sorigeul import ListenAttendSpell
from sorigeul.base.errors import UserError
from sorigeul.pretrained.description import CONFIG, VOCABULARY, WEIGHTS
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.pretrained.publishing import publish
from sorigeul.text.vocabulary import Vocabulary

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ctc_weight": 0.3, "score_function": "location"},
        {"cell": "lstm", "use_bidirectional": False, "score_function": "multi-head"},
        {"use_attention": False, "use_pyramidal": False},
    ],
)
def test_a_loaded_model_is_the_published_one(
    tmp_path: Path, tiny: Tiny, utterances: Utterances, changes: dict[str, Any]
) -> None:
    model = tiny(**changes)
    publish(tmp_path, pretrained(model))
    loaded = load_pretrained(tmp_path)
    assert not loaded.model.training
    assert loaded.model.config == model.config
    inputs = (*utterances(70, 40), torch.tensor([[1, 2, 3], [4, 5, 29]]))
    with torch.no_grad():
        before, after = model(*inputs), loaded.model(*inputs)
    assert torch.equal(before.logits, after.logits)
    assert torch.equal(before.alignments, after.alignments)
    assert (before.ctc_logits is None) == (after.ctc_logits is None)
    if before.ctc_logits is not None:
        assert torch.equal(before.ctc_logits, after.ctc_logits)


def test_everything_that_is_published_with_the_model_is_loaded_too(
    tmp_path: Path, tiny: Tiny
) -> None:
    published = pretrained(tiny())
    publish(tmp_path, published)
    loaded = load_pretrained(str(tmp_path))
    assert replace(loaded, model=published.model) == published


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, VOCABULARY])
def test_a_folder_without_one_of_the_files_is_refused(published: Path, name: str) -> None:
    (published / name).unlink()
    with pytest.raises(UserError, match="holds no finished model") as error:
        load_pretrained(published)
    assert f"({name} missing)" in one_line(error)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: b"not weights at all, but quite long enough to be read as a header",
        lambda content: content[:8] + b"\xff" * 200 + content[208:],
    ],
    ids=["half", "a byte short", "empty", "other", "header"],
)
def test_damaged_weights_are_refused(published: Path, damage: Callable[[bytes], bytes]) -> None:
    path = published / WEIGHTS
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match="is damaged") as error:
        load_pretrained(published)
    assert str(path) in one_line(error)


def test_weights_that_are_a_pickle_are_refused_without_running_it(
    published: Path, tmp_path: Path
) -> None:
    torch.save(Trap(tmp_path / "made"), published / WEIGHTS)
    with pytest.raises(UserError, match="is damaged"):
        load_pretrained(published)
    assert not (tmp_path / "made").exists()


def test_the_pickle_of_a_trap_runs_code(tmp_path: Path) -> None:
    torch.save(Trap(tmp_path / "made"), tmp_path / "trap")
    torch.load(tmp_path / "trap", weights_only=False)
    assert (tmp_path / "made").exists()


def test_another_vocabulary_of_the_same_size_is_refused(published: Path) -> None:
    other = Vocabulary.from_texts([SYLLABLES[:-1] + "힣"])
    (published / VOCABULARY).write_text(other.to_json(), encoding="utf-8")
    with pytest.raises(UserError, match="is not the vocabulary of") as error:
        load_pretrained(published)
    assert str(published / VOCABULARY) in one_line(error)


def test_the_vocabulary_and_configuration_of_another_run_are_refused(
    published: Path, tmp_path: Path, tiny: Tiny
) -> None:
    other = tmp_path / "other"
    publish(other, pretrained(tiny(), SYLLABLES[:-1] + "힣"))
    for name in (VOCABULARY, CONFIG):
        shutil.copy(other / name, published / name)
    with pytest.raises(UserError, match="is not the vocabulary of") as error:
        load_pretrained(published)
    one_line(error)


def test_a_vocabulary_of_another_size_is_refused(published: Path) -> None:
    other = Vocabulary.from_texts([SYLLABLES[:-1]])
    (published / VOCABULARY).write_text(other.to_json(), encoding="utf-8")
    with pytest.raises(UserError, match="has 29 entries, but the model 30") as error:
        load_pretrained(published)
    assert str(published / VOCABULARY) in one_line(error)


def test_weights_of_another_shape_are_refused(published: Path, tmp_path: Path, tiny: Tiny) -> None:
    publish(tmp_path / "other", pretrained(tiny(hidden_size=6)))
    shutil.copy(tmp_path / "other" / WEIGHTS, published)
    with pytest.raises(UserError, match=rf"{WEIGHTS} does not fit {CONFIG}") as error:
        load_pretrained(published)
    one_line(error)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (CONFIG, b""),
        (CONFIG, b"{"),
        (CONFIG, b"[]"),
        (CONFIG, b'{"format": "other/1"}'),
        (CONFIG, b'{"format": "sorigeul/1"}'),
        (CONFIG, b"\xff\xfe"),
        (VOCABULARY, b""),
        (VOCABULARY, b"{}"),
        (VOCABULARY, b"\xff\xfe"),
    ],
)
def test_a_damaged_configuration_or_vocabulary_is_refused_by_name(
    published: Path, name: str, content: bytes
) -> None:
    (published / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        load_pretrained(published)
    assert one_line(error).startswith(str(published / name))


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("model", {"flavour": "new"}),
        ("features", {"flavour": "new"}),
        ("model", {"hidden_size": "wide"}),
        ("model", {"hidden_size": 10**9}),
        ("model", {"listener_layer_size": 10**9}),
        ("model", {"dropout": None}),
        ("features", {"n_fft": 10**9}),
        ("features", {"frame_length": float("nan")}),
    ],
)
def test_settings_of_another_version_are_refused(
    published: Path, section: str, change: dict[str, Any]
) -> None:
    config = json.loads((published / CONFIG).read_text(encoding="utf-8"))
    config[section].update(change)
    (published / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match=r"this version does not know|is no number") as error:
        load_pretrained(published)
    assert str(published / CONFIG) in one_line(error)


def test_no_memory_is_taken_for_what_a_configuration_only_claims(published: Path) -> None:
    """16,384 and 100 are allowed, but weights of that size would take terabytes."""
    config = json.loads((published / CONFIG).read_text(encoding="utf-8"))
    config["model"] |= {"hidden_size": 16_384, "listener_layer_size": 100}
    (published / CONFIG).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match=rf"{WEIGHTS} does not fit {CONFIG}") as error:
        load_pretrained(published)
    one_line(error)


def test_a_source_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no finished model") as error:
        load_pretrained(tmp_path)
    one_line(error)
    (tmp_path / "file").write_text("hello", encoding="utf-8")
    for source in (tmp_path / "file", tmp_path / "nowhere", "nowhere", "./run", "a/b/c"):
        with pytest.raises(UserError, match="neither a run folder nor a Hugging Face id") as error:
            load_pretrained(source)
        assert str(source) in one_line(error)


def test_an_id_that_the_hub_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="the Hugging Face hub gave no such model") as error:
        load_pretrained("sorigeul/no-such-model")
    assert one_line(error).startswith("sorigeul/no-such-model is no folder here")
