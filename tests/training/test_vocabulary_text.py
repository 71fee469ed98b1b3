"""Syllables of a text in the vocabulary, and how much of dev and test a vocabulary covers."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.commands import Command
from helpers.runs import equal, identical, settings, state_without_times, weights

from sorigeul.base.errors import UserError
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.run import train
from sorigeul.training.vocabulary_text import describe_coverage, with_syllables_of

VOCABULARY = Vocabulary.from_texts(["각각각 난 몸"])


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# The vocabulary


def test_frequent_syllables_follow_those_of_train(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """간 낙 can be spelt with the letters of 각 난 몸; 사 has an initial that none of them has."""
    caplog.set_level(logging.INFO)
    text = write(tmp_path / "a.txt", "낙 간 낙 간 낙 사 사 각 난 a7?\n만 낢 뭄")
    extended = with_syllables_of(text, 2, VOCABULARY)
    assert extended.units == (*VOCABULARY.units[:-3], "낙", "간", *VOCABULARY.units[-3:])
    assert "of 3 syllables that occur 2 times or more, 2 are not in train and are added" in (
        caplog.text
    )
    assert "1 more have a letter that is in no syllable of train, and are left out: 사" in (
        caplog.text
    )
    once = with_syllables_of(text, 1, VOCABULARY)
    assert once.units[4:-3] == ("낙", "간", "만")  # 낢 and 뭄 have letters of their own


def test_a_text_without_anything_new_changes_nothing(tmp_path: Path) -> None:
    text = write(tmp_path / "a.txt", "각 각 난")
    assert with_syllables_of(text, 1, VOCABULARY) == VOCABULARY


def test_a_folder_is_read_file_by_file_and_decomposed_text_counts(tmp_path: Path) -> None:
    write(tmp_path / "texts" / "a.txt", "낙")
    write(tmp_path / "texts" / "deep" / "b.txt", "\u1102\u1161\u11a8\n")  # 낙 in NFD
    write(tmp_path / "texts" / "notes.md", "간 간")
    extended = with_syllables_of(tmp_path / "texts", 2, VOCABULARY)
    assert set(extended.units) - set(VOCABULARY.units) == {"낙"}


def test_a_text_is_never_in_memory_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write(tmp_path / "a.txt", "낙 간\n" * 5000)

    def refuse(*_: Any, **__: Any) -> str:
        raise AssertionError("the whole file was read")

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "낙" in with_syllables_of(text, 5000, VOCABULARY).units


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such text file, folder or prepared corpus"),
        ("", "holds no Hangul syllable"),
        ("only Latin\n123", "holds no Hangul syllable"),
        ("\0\0", "is no text file"),
    ],
)
def test_what_is_no_korean_text_is_refused_by_name(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "a.txt"
    if content is not None:
        write(path, content)
    with pytest.raises(UserError, match=rf"a\.txt.*{message}"):
        with_syllables_of(path, 1, VOCABULARY)


def test_coverage_leaves_spaces_out_and_tells_what_the_text_added() -> None:
    extended = Vocabulary((*VOCABULARY.units[:-3], "간", *VOCABULARY.units[-3:]))
    dev = {"각": 6, " ": 90, "간": 3, "힣": 1}
    assert describe_coverage(VOCABULARY, VOCABULARY, {"dev": dev}) == (
        "7 units (syllable); 60.00 % of the 10 characters of dev, not 간 힣"
    )
    assert describe_coverage(extended, VOCABULARY, {"dev": dev, "test": {"각": 2}}) == (
        "8 units (syllable), 1 of them from vocabulary_text; "
        "90.00 % of the 10 characters of dev (60.00 % without them), not 힣; "
        "100.00 % of the 2 characters of test (100.00 % without them)"
    )


# The setting


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"share_letters": False}, "vocabulary_text needs share_letters"),
        ({"vocabulary": "jamo", "share_letters": False}, "vocabulary_text is for syllables"),
        ({"vocabulary": "table.csv"}, "vocabulary_text adds to a vocabulary that is built"),
        ({"init_from": "someone/model"}, "vocabulary_text and init_from exclude each other"),
        ({"vocabulary_text_min_count": 0}, "vocabulary_text_min_count is 0"),
    ],
)
def test_settings_that_make_no_sense_with_it_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        settings(**{"share_letters": True, "vocabulary_text": "a.txt", **changes})


# A run


@pytest.fixture(scope="module")
def corpus_with_a_coda(babble: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`babble`, but all 바 of train are 반, so that 간 can be spelt; 바 of dev stays."""
    data = tmp_path_factory.mktemp("coda") / "data"
    shutil.copytree(babble, data)
    train_manifest = data / "train.jsonl"
    train_manifest.write_text(
        train_manifest.read_text(encoding="utf-8").replace("바", "반"), encoding="utf-8"
    )
    return data


@pytest.fixture
def aids(tmp_path: Path) -> dict[str, Any]:
    """Settings of a run with syllables of a text, and with all that copies or averages weights."""
    return {
        "share_letters": True,
        "vocabulary_text": str(write(tmp_path / "beyond.txt", "간 간 뷁 뷁 A7! 바 바 바\n가다")),
        "vocabulary_text_min_count": 2,
        "ctc_weight": 0.3,
        "jamo_ctc_weight": 0.3,
        "ema_decay": 0.9,
        "average_best": 2,
        "scheduled_sampling": 0.5,
        "weight_decay": 0.1,
        "max_steps": 0,
        "max_epochs": 2,
        "checkpoint_every": 3,
    }


def test_a_run_publishes_and_resumes_with_the_syllables_of_its_text(
    corpus_with_a_coda: Path, aids: dict[str, Any], tmp_path: Path, sorigeul: Command
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(corpus_with_a_coda, whole, settings(**aids))
    published = load_pretrained(whole)
    units = published.vocabulary.units
    assert units[-5:-3] == ("바", "간")
    assert published.unseen_units == 2
    state = weights(whole)
    for layer in ("ctc", "speller.out", "speller.embedding"):
        own = state[f"{layer}.parametrizations.weight.original"]
        assert not own[-5:-3].any()
        assert own[:-5].any(1).sum() >= len(own) - 6, "all that are in train learn their own rows"
    mean_bias = published.model.ctc.bias[[unit in "가나다라마반사아" for unit in units]].mean()
    assert torch.allclose(published.model.ctc.bias[-5:-3], mean_bias.expand(2))
    record = json.loads((whole / "run.json").read_text(encoding="utf-8"))
    size = f"{len(units)} units (syllable), 2 of them from vocabulary_text; 100.00 % of the "
    assert record["vocabulary"].startswith(size)
    assert "2 of them in no training transcript" in sorigeul("info", whole).out

    train(corpus_with_a_coda, stopped, settings(**{**aids, "max_steps": 4}))
    (stopped / "checkpoints" / "step-000000004.pt").unlink()  # by which the epoch is closed
    Path(aids["vocabulary_text"]).unlink()
    train(corpus_with_a_coda, stopped, settings(**aids))
    assert equal(weights(stopped), state)
    assert equal(load_pretrained(stopped).model.state_dict(), published.model.state_dict())
    assert load_pretrained(stopped).vocabulary == published.vocabulary


def test_the_text_and_the_corpus_of_a_run_stay_the_same(
    babble: Path, corpus_with_a_coda: Path, aids: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(corpus_with_a_coda, run, settings(**{**aids, "max_epochs": 1}))
    before = state_without_times(run)
    for changes, message in (
        ({"vocabulary_text": ""}, r"beyond\.txt, not empty: train into a new folder"),
        ({"vocabulary_text_min_count": 3}, "begun with vocabulary_text_min_count 2, not 3"),
        ({"hidden_size": 16}, "begun with hidden_size 8, not 16"),
    ):
        with pytest.raises(UserError, match=message):
            train(corpus_with_a_coda, run, settings(**{**aids, **changes}))
    with pytest.raises(UserError, match="begun with another vocabulary"):
        train(babble, run, settings(**aids))
    assert identical(state_without_times(run), before)
