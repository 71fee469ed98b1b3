"""Text to ids on disk: nothing is lost uncounted, nothing excluded gets in, order is no matter."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.texts import corpus_of, lines_of

from sorigeul.base.errors import UserError
from sorigeul.lm import text_data
from sorigeul.lm.text_data import TextData, TextOptions, load_text, prepare_text
from sorigeul.text.numerals import sino
from sorigeul.text.spoken_form import VERSION
from sorigeul.text.vocabulary import Vocabulary

NUMBERS = [f"{sino(number)} 번입니다" for number in range(1000)]
VOCABULARY = Vocabulary.from_texts([*NUMBERS, "가나다라마바사아자차카타파하 스무살한글"])


def prepare(folder: Path, *sources: Path, **options: Any) -> TextData:
    return prepare_text(sources, folder, VOCABULARY, TextOptions(**options))


def kept(data: TextData) -> list[str]:
    """All lines, whether for training or held out."""
    return lines_of(data.train, VOCABULARY) + lines_of(data.heldout, VOCABULARY)


def write(path: Path, lines: list[str], encoding: str = "utf-8", end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode(encoding))
    return path


def assert_adds_up(report: dict[str, Any]) -> None:
    pieces = report["lines_read"] + report["lines_split_off"]
    kept_lines = report["train_lines"] + report["heldout_lines"]
    assert pieces == kept_lines + sum(report["left_out"].values())


def test_lines_come_back_as_they_were(tmp_path: Path) -> None:
    data = prepare(tmp_path / "text", write(tmp_path / "a.txt", NUMBERS))
    assert sorted(kept(data)) == sorted(NUMBERS)
    assert isinstance(data.train, np.memmap)
    assert data.train.dtype == np.uint16
    assert data.report["characters"] == sum(map(len, NUMBERS))
    assert data.report["read_out"] == f"spoken/{VERSION}"
    assert data.report["unknown_characters"] == 0
    assert_adds_up(data.report)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_encodings_and_line_ends_are_all_the_same(tmp_path: Path, encoding: str, end: str) -> None:
    file = write(tmp_path / "a.txt", ["가나다", "라마", "", "한글"], encoding, end)
    assert sorted(kept(prepare(tmp_path / "text", file))) == ["가나다", "라마", "한글"]


def test_unknown_characters_are_counted_and_padded(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", ["가나다라마바사아자힣", "하나하나"])
    data = prepare(tmp_path / "text", file)
    assert sorted(kept(data)) == ["가나다라마바사아자?", "하나하나"]
    assert data.report["unknown_characters"] == 1


def test_everything_that_is_left_out_has_a_reason(tmp_path: Path) -> None:
    long = "가" * 80 + ". " + "나" * 80 + ". 漢字."
    file = write(
        tmp_path / "a.txt",
        ["가나", "가 나", "", "...", "漢字", "hello 가나", "힣힣힣", long, "20살", "하하"],
    )
    report = prepare(tmp_path / "text", file).report
    assert report["left_out"] == {
        "duplicate": 1,  # spaces do not make a line another one
        "empty": 2,
        "other script": 2,
        "Latin words": 1,
        "unknown characters": 1,
    }
    assert report["lines_read"] == 10
    assert report["lines_split_off"] == 2
    assert report["train_lines"] + report["heldout_lines"] == 5
    assert_adds_up(report)
    assert json.loads((tmp_path / "text" / "report.json").read_text(encoding="utf-8")) == report


def test_the_order_of_the_files_decides_nothing(tmp_path: Path) -> None:
    first = write(tmp_path / "a.txt", NUMBERS[:600])
    second = write(tmp_path / "b.txt", NUMBERS[400:])
    one = prepare(tmp_path / "one", first, second)
    other = prepare(tmp_path / "other", second, first)
    assert set(lines_of(one.heldout, VOCABULARY)) == set(lines_of(other.heldout, VOCABULARY))
    assert set(lines_of(one.train, VOCABULARY)) == set(lines_of(other.train, VOCABULARY))
    assert one.report["left_out"] == {"duplicate": 200}


def test_the_same_text_gives_the_same_bytes(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", NUMBERS)
    for folder in ("one", "other"):
        prepare(tmp_path / folder, file)
    for name in ("train.npy", "heldout.npy", "report.json"):
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("one", "other"))
        assert one == other


def test_held_out_lines_are_a_share_that_the_seed_chooses(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", NUMBERS)
    chosen = []
    for seed in (0, 1):
        data = prepare(tmp_path / "text", file, heldout_share=0.1, seed=seed)
        heldout = set(lines_of(data.heldout, VOCABULARY))
        assert 60 < len(heldout) < 140
        assert heldout.isdisjoint(lines_of(data.train, VOCABULARY))
        chosen.append(heldout)
    assert len(chosen[0] & chosen[1]) < 30


def test_held_out_lines_are_at_least_one_and_have_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "a.txt", NUMBERS)
    assert prepare(tmp_path / "one", file, heldout_share=1e-9).report["heldout_lines"] == 1
    monkeypatch.setattr(text_data, "_MOST_HELDOUT", 20)
    limited = prepare(tmp_path / "limited", file, heldout_share=0.5)
    assert limited.report["heldout_lines"] == 20
    assert sorted(kept(limited)) == sorted(NUMBERS)


def test_a_line_stays_held_out_when_text_is_added(tmp_path: Path) -> None:
    half = prepare(tmp_path / "half", write(tmp_path / "a.txt", NUMBERS[:500]))
    whole = prepare(tmp_path / "whole", write(tmp_path / "b.txt", NUMBERS))
    assert set(lines_of(half.heldout, VOCABULARY)) <= set(lines_of(whole.heldout, VOCABULARY))


def test_a_corpus_gives_its_training_transcripts_only(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus", train=["가나", "다라"], dev=["마바"], test=["사아"])
    file = write(tmp_path / "a.txt", ["마바", "사 아.", "자차"])
    data = prepare(tmp_path / "text", corpus, file)
    assert sorted(kept(data)) == ["가나", "다라", "자차"]
    assert data.report["left_out"] == {"excluded transcript": 2}
    assert_adds_up(data.report)


def test_transcripts_of_an_excluded_corpus_do_not_get_in(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "corpus", train=["가나"], dev=["20살", "하하."], test=["사아"])
    lines = ["가나", "스무살", "20살!", "하하", "다라? 사아.", "사아자", "카타"]
    data = prepare(tmp_path / "text", write(tmp_path / "a.txt", lines), exclude=(corpus,))
    assert sorted(kept(data)) == ["가나", "사아자", "카타"]
    assert data.report["left_out"] == {"excluded transcript": 4}


def test_an_excluded_path_must_be_a_corpus(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", NUMBERS)
    with pytest.raises(UserError, match=r"a\.txt is no prepared corpus"):
        prepare(tmp_path / "text", file, exclude=(file,))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "too little text"),
        ("가나\n가나\n".encode(), "too little text"),
        (b"RIFF\x00\x00\x00\x00WAVE", "no text file"),
        (b"\x89PNG\r\n\x1a\n\xff\xff", "neither UTF-8 nor CP949"),
        ("가나\n".encode() * 400_000 + b"\xff\xff", "not UTF-8 from byte 2800000 on"),
    ],
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(data)
    with pytest.raises(UserError, match=rf"a\.txt.*{message}"):
        prepare(tmp_path / "text", file)
    assert load_text(tmp_path / "text", VOCABULARY) is None
    assert not list(tmp_path.glob("text/*"))


def test_what_was_prepared_is_loaded_again(tmp_path: Path) -> None:
    assert load_text(tmp_path / "text", VOCABULARY) is None
    prepared = prepare(tmp_path / "text", write(tmp_path / "a.txt", NUMBERS))
    loaded = load_text(tmp_path / "text", VOCABULARY)
    assert loaded is not None
    assert loaded.report == prepared.report
    assert np.array_equal(loaded.train, prepared.train)
    assert np.array_equal(loaded.heldout, prepared.heldout)


def test_text_for_another_vocabulary_is_not_taken(tmp_path: Path) -> None:
    prepare(tmp_path / "text", write(tmp_path / "a.txt", NUMBERS))
    with pytest.raises(UserError, match="another vocabulary"):
        load_text(tmp_path / "text", Vocabulary.from_texts(["가"]))


def test_a_failed_preparation_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    prepare(tmp_path / "text", write(tmp_path / "a.txt", NUMBERS))
    with pytest.raises(UserError):
        prepare(tmp_path / "text", write(tmp_path / "b.txt", ["가"]))
    assert load_text(tmp_path / "text", VOCABULARY) is None


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5])
def test_the_share_is_checked(share: float) -> None:
    with pytest.raises(UserError, match="above 0 and below 1"):
        TextOptions(heldout_share=share)
