"""Text files read aloud: what becomes of their sentences, and the corpora spoken from them."""

import unicodedata
from pathlib import Path
from random import Random
from typing import Any

import pytest
from helpers.commands import Command

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.synthesis.demo import DEMO
from sorigeul.synthesis.passages import LONGEST, SHORTEST, passages
from sorigeul.synthesis.script import Line, script
from sorigeul.synthesis.sentences import sentence
from sorigeul.synthesis.voices import VOICES


def book(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "book.txt"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    """About 150 sentences, three a line, one in fifty of which cannot be said."""
    said = [sentence(Random(number)) for number in range(150)]
    said[::50] = ["Hello 세계", "3번 출구", "안녕 ♥"]
    lines = [". ".join(said[at : at + 3]) + "." for at in range(0, 150, 3)]
    return book(tmp_path, "\n".join(lines))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("안녕하세요. 반갑습니다!", ["안녕하세요", "반갑습니다"]),
        ("어디 가세요? 집에 가요… 정말요?", ["어디 가세요", "집에 가요", "정말요"]),
        ("그는 “집에 가자.” 하고 말했다.", ["그는 집에 가자", "하고 말했다"]),
        ("비가,눈이 왔다 – 어제도", ["비가 눈이 왔다 어제도"]),
        ("  여러   칸을\t띄운 글 \n\n\n다음 줄", ["여러 칸을 띄운 글", "다음 줄"]),
        ("같은 말. 같은 말.\n같은 말!", ["같은 말"]),
        ("가나다\r\n라마바\r사아자", ["가나다", "라마바", "사아자"]),
    ],
)
def test_sentences_end_where_they_end(tmp_path: Path, text: str, found: list[str]) -> None:
    for encoding in ("utf-8", "utf-8-sig", "cp949"):
        if encoding == "cp949" and "–" in text:
            continue  # it has no such dash
        sentences, rejected = passages(book(tmp_path, text, encoding))
        assert list(sentences) == found
        assert not rejected


def test_decomposed_hangul_is_read_as_any_other(tmp_path: Path) -> None:
    sentences, _ = passages(book(tmp_path, unicodedata.normalize("NFD", "안녕하세요")))
    assert list(sentences) == ["안녕하세요"]


def word(random: Random) -> str:
    return "".join(chr(random.randrange(0xAC00, 0xD7A4)) for _ in range(random.randint(1, 9)))


def test_long_sentences_are_cut_at_spaces_and_lose_nothing(tmp_path: Path) -> None:
    random = Random(1)
    for _ in range(50):
        whole = " ".join(word(random) for _ in range(random.randint(3, 90)))
        parts = list(passages(book(tmp_path, whole))[0])
        assert " ".join(parts) == whole
        assert all(SHORTEST <= len(part) <= LONGEST for part in parts)
        assert len(whole) <= LONGEST or min(map(len, parts)) > LONGEST / 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("애플 Apple 전화", "cannot be read aloud: A e l p"),
        ("10월 3일", "cannot be read aloud: 0 1 3"),
        ("서울(首都)", "cannot be read aloud: ( ) 都 首"),
        ("ㅋㅋㅋㅋ", "cannot be read aloud: ㅋ"),
        ("네.", "shorter than 3 characters"),
        ("***", "cannot be read aloud: *"),
        ("...", "shorter than 3 characters"),
        ("가" * 61, "60 characters without a space"),
    ],
)
def test_what_cannot_be_said_is_rejected_with_its_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    sentences, (rejected,) = passages(book(tmp_path, f"이건 되고요.\n{text}\n이것도 됩니다."))
    assert list(sentences.items()) == [
        ("이건 되고요", "book.txt:1"),
        ("이것도 됩니다", "book.txt:3"),
    ]
    assert (rejected.reason, rejected.where) == (reason, "book.txt:2")


def draw(path: Path, **options: Any) -> list[Line]:
    return list(script(PrepareOptions(text_file=str(path), **options), passages(path)[0]))


def test_every_sentence_is_said_once_before_any_is_said_again(novel: Path) -> None:
    lines = [line for line in draw(novel, utterances=2000) if line.split == "train"]
    distinct = {line.text for line in lines}
    once = [line.text for line in lines[: len(distinct)]]
    twice = [line.text for line in lines[len(distinct) : 2 * len(distinct)]]
    assert set(once) == set(twice) == distinct
    assert once != twice
    by_voice = {(line.text, line.voice) for line in lines}
    assert len(by_voice) == len(lines)  # 1,700 of 50 voices: nobody repeats himself
    assert {line.where for line in lines} <= {f"book.txt:{number}" for number in range(1, 51)}


def test_splits_share_neither_sentences_nor_voices(novel: Path) -> None:
    lines = draw(novel, utterances=2000)
    splits = {split: [line for line in lines if line.split == split] for split in VOICES}
    assert [len(splits[split]) for split in ("train", "dev", "test")] == [1700, 100, 200]
    for what in ("text", "voice"):
        held = {split: {getattr(line, what) for line in splits[split]} for split in splits}
        assert sum(map(len, held.values())) == len(set.union(*held.values()))
    other = {line.text: line.split for line in draw(novel, utterances=500, seed=7)}
    assert all(other[line.text] == line.split for line in lines if line.text in other)


def test_hours_are_kept_to(tmp_path: Path, novel: Path) -> None:
    pytest.importorskip("espeakng_loader")
    options = PrepareOptions(text_file=str(novel), hours=0.2)
    report = prepare(DEMO, None, tmp_path / "out", options, jobs=1)
    assert report.total["hours"] == pytest.approx(0.2, rel=0.06)
    assert report.splits["train"]["hours"] == pytest.approx(0.17, rel=0.06)
    assert [item.reason for item in report.rejected] == [
        "cannot be read aloud: H e l o",
        "cannot be read aloud: 3",
        "cannot be read aloud: ♥",
    ]
    said = report.splits["train"]["distinct_sentences"]
    assert f"{novel} has {said} sentences for it, said up to 2 times each" in report.notes[0]
    assert report.splits["test"]["sentences_in_train"] == 0


def test_hours_of_sentences_made_up() -> None:
    lines = list(script(PrepareOptions(hours=2.0)))
    assert sum(line.seconds for line in lines) == pytest.approx(7200, abs=15)
    assert len({line.text for line in lines}) == len(lines)
    assert lines[:1500] == list(script(PrepareOptions(utterances=3000)))[:1500]


def test_the_same_options_give_the_same_bytes(tmp_path: Path, novel: Path) -> None:
    pytest.importorskip("espeakng_loader")
    options = PrepareOptions(text_file=str(novel), utterances=60)
    for name in ("a", "b"):
        prepare(DEMO, None, tmp_path / name, options)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.flac")}
        for name in ("a", "b")
    )
    assert len(first) == 60
    assert first == second


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "book.txt: no such file"),
        (b"", "book.txt: holds no text"),
        (b"\n \n", "book.txt: holds no text"),
        (b"Hello.\n3", "none of its 2 sentences can be said; the first, book.txt:1: cannot be"),
        (b"\xff\xfe\x00", "neither UTF-8 nor CP949"),
        ("안녕하세요".encode(), "none of its 1 sentences falls to "),
    ],
)
def test_a_text_of_no_use_is_told_in_one_line(
    sorigeul: Command, content: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "book.txt"
    if content is not None:
        path.write_bytes(content)
    done = sorigeul("prepare", "demo", tmp_path / "out", "--text", path, "--hours", "0.1")
    assert done.status == 2
    assert said in done.error()
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("demo out --utterances 200 --hours 1", "utterances and hours exclude each other"),
        ("demo out --hours -1", "hours -1: must not be negative"),
        ("demo out --hours 0.001", "ask for 100 or more"),
        ("demo out --text .", ".: cannot be read (Is a directory)"),
        ("kspon in out --text speling", "text speling: only the demo corpus says a text file"),
    ],
)
def test_options_that_do_not_go_together(
    sorigeul: Command, arguments: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sorigeul("prepare", *arguments.split())
    assert (done.status, done.out) == (2, "")
    assert said in done.error()
    assert not list(tmp_path.iterdir())


def test_reading_a_text_twice_gives_the_same_script(novel: Path) -> None:
    assert draw(novel, hours=0.3) == draw(novel, hours=0.3)
    with pytest.raises(UserError, match="exclude"):
        draw(novel, hours=0.3, utterances=3)
