"""Scripts of made-up sentences, and of the sentences of a text file."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.synthesis.passages import read_sentences
from sorigeul.synthesis.script import Line, script
from sorigeul.synthesis.voices import VOICES


def made_up_script(**options: Any) -> list[Line]:
    return list(script(PrepareOptions(**options)))


def script_of_file(path: Path, **options: Any) -> list[Line]:
    sentences, _ = read_sentences(path)
    return list(script(PrepareOptions(text_file=str(path), **options), sentences))


def test_by_default_splits_share_no_sentence_or_voice_and_train_has_all_syllables() -> None:
    lines = made_up_script()
    by_split = {split: [line for line in lines if line.split == split] for split in VOICES}
    assert [len(by_split[split]) for split in ("train", "dev", "test")] == [2550, 150, 300]
    train_syllables = Counter("".join(line.text for line in by_split["train"]))
    assert len(train_syllables) < 250
    for split in ("dev", "test"):
        assert min(train_syllables[char] for line in by_split[split] for char in line.text) >= 3
    assert len({line.text for line in lines}) == len(lines)
    assert len({line.id for line in lines}) == len(lines)
    voices = {split: {line.voice for line in by_split[split]} for split in by_split}
    assert {split: set(names) for split, names in VOICES.items()} == voices
    assert sum(map(len, voices.values())) == len(set.union(*voices.values()))


def test_no_sentence_is_in_train_with_one_seed_and_held_out_with_another() -> None:
    lines = made_up_script(utterances=1000, seed=1)
    train = {line.text for line in lines if line.split == "train"}
    other_lines = made_up_script(utterances=1000, seed=2)
    held_out = {line.text for line in other_lines if line.split != "train"}
    assert not train & held_out


def test_a_script_depends_on_the_seed_and_a_longer_one_begins_with_the_same_lines() -> None:
    lines = made_up_script(utterances=300, seed=5)
    assert made_up_script(utterances=300, seed=5) == lines
    assert made_up_script(utterances=300, seed=6) != lines
    assert made_up_script(utterances=600, seed=5)[:255] == lines[:255]


@pytest.mark.parametrize("utterances", [1, 20])
def test_too_small_a_corpus_is_refused(utterances: int) -> None:
    with pytest.raises(UserError, match=r"too few utterances: .* ask for 100 or more"):
        made_up_script(utterances=utterances)


def test_made_up_sentences_last_as_many_hours_as_asked_for() -> None:
    lines = made_up_script(hours=2.0)
    assert sum(line.seconds for line in lines) == pytest.approx(7200, abs=15)
    assert len({line.text for line in lines}) == len(lines)
    assert lines[:1500] == made_up_script(utterances=3000)[:1500]


def test_every_sentence_of_a_file_is_used_once_before_any_is_repeated(novel: Path) -> None:
    lines = [line for line in script_of_file(novel, utterances=2000) if line.split == "train"]
    distinct = {line.text for line in lines}
    first_round = [line.text for line in lines[: len(distinct)]]
    second_round = [line.text for line in lines[len(distinct) : 2 * len(distinct)]]
    assert set(first_round) == set(second_round) == distinct
    assert first_round != second_round
    by_voice = {(line.text, line.voice) for line in lines}
    assert len(by_voice) == len(lines)  # 1,700 lines, 50 voices: none repeats a sentence of its own
    assert {line.where for line in lines} <= {f"book.txt:{number}" for number in range(1, 51)}


def test_splits_of_a_file_share_neither_sentences_nor_voices(novel: Path) -> None:
    lines = script_of_file(novel, utterances=2000)
    by_split = {split: [line for line in lines if line.split == split] for split in VOICES}
    assert [len(by_split[split]) for split in ("train", "dev", "test")] == [1700, 100, 200]
    for field in ("text", "voice"):
        values = {split: {getattr(line, field) for line in by_split[split]} for split in by_split}
        assert sum(map(len, values.values())) == len(set.union(*values.values()))
    other_lines = script_of_file(novel, utterances=500, seed=7)
    split_of = {line.text: line.split for line in other_lines}
    assert all(split_of[line.text] == line.split for line in lines if line.text in split_of)


def test_a_file_gives_the_same_script_every_time(novel: Path) -> None:
    assert script_of_file(novel, hours=0.3) == script_of_file(novel, hours=0.3)
    with pytest.raises(UserError, match="exclude"):
        script_of_file(novel, hours=0.3, utterances=3)
