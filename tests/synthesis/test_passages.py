"""Sentences of a text file: where they end, which can be read aloud."""

import os
import unicodedata
from pathlib import Path
from random import Random

import pytest
from helpers.trees import write_text

from sorigeul.base.errors import UserError
from sorigeul.synthesis.passages import MAX_CHARACTERS, MIN_CHARACTERS, read_sentences


@pytest.mark.parametrize(
    ("text", "expected"),
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
def test_sentences_end_at_punctuation_and_line_ends(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    for encoding in ("utf-8", "utf-8-sig", "cp949"):
        if encoding == "cp949" and "–" in text:
            continue  # CP949 has no such dash
        sentences, rejected = read_sentences(write_text(tmp_path / "book.txt", text, encoding))
        assert list(sentences) == expected
        assert not rejected


def test_a_named_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "book.txt")
    with pytest.raises(UserError, match=r"book.txt: is a named pipe"):
        read_sentences(tmp_path / "book.txt")


def test_decomposed_hangul_is_read_as_composed(tmp_path: Path) -> None:
    text = unicodedata.normalize("NFD", "안녕하세요")
    sentences, _ = read_sentences(write_text(tmp_path / "book.txt", text))
    assert list(sentences) == ["안녕하세요"]


def test_long_sentences_are_cut_at_spaces_and_lose_nothing(tmp_path: Path) -> None:
    random = Random(1)

    def random_word() -> str:
        syllables = (chr(random.randrange(0xAC00, 0xD7A4)) for _ in range(random.randint(1, 9)))
        return "".join(syllables)

    for _ in range(50):
        whole = " ".join(random_word() for _ in range(random.randint(3, 90)))
        pieces = list(read_sentences(write_text(tmp_path / "book.txt", whole))[0])
        assert " ".join(pieces) == whole
        assert all(MIN_CHARACTERS <= len(piece) <= MAX_CHARACTERS for piece in pieces)
        assert len(whole) <= MAX_CHARACTERS or min(map(len, pieces)) > MAX_CHARACTERS / 4


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
def test_sentences_that_cannot_be_read_aloud_are_rejected_with_the_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    book = write_text(tmp_path / "book.txt", f"이건 되고요.\n{text}\n이것도 됩니다.")
    sentences, (rejected,) = read_sentences(book)
    assert list(sentences.items()) == [
        ("이건 되고요", "book.txt:1"),
        ("이것도 됩니다", "book.txt:3"),
    ]
    assert (rejected.reason, rejected.where) == (reason, "book.txt:2")
