"""Raw lines to the characters of a vocabulary: every rule, and what must hold for any line."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.lm.line_cleaning import CleanLine, LineCleaner, id_type
from sorigeul.text.vocabulary import Vocabulary

SYLLABLES = "".join(chr(code) for code in range(0xAC00, 0xD7A4))
HANGUL = Vocabulary.from_texts([SYLLABLES, " "])
CLEANER = LineCleaner(HANGUL)


def texts(raw: str, cleaner: LineCleaner = CLEANER, read_out: bool = True) -> list[str]:
    """The lines that a raw line becomes; the reasons of those that are left out in brackets."""
    lines = cleaner.clean(raw, read_out)
    return [line.text if isinstance(line, CleanLine) else f"[{line}]" for line in lines]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("  나는\t학교에   간다 ", "나는 학교에 간다"),
        (unicodedata.normalize("NFD", "한글"), "한글"),
        ("그는 20살이다.", "그는 스무 살이다"),
        ("KBS 뉴스", "케이비에스 뉴스"),
        ("그러나,이것은 '그것'이 아니다!", "그러나 이것은 그것이 아니다"),
        ("네~요…그래(서울)에서", "네 요 그래 서울에서"),
        ("초·중·고등학교", "초중고등학교"),
        ("재밌다ㅋㅋㅋ 정말ㅠㅠ ♥", "재밌다 정말"),
        ("위원장(委員長)의 모델(model)은", "위원장의 모델은"),
        ("1. 머리말", "머리말"),
        ("2)머리말 1.", "머리말 일"),
        ("무반응(90dB)", "무반응 구십 데시벨"),
        ("", "[empty]"),
        ("!?...", "[empty]"),
        ("ㅋㅋㅋ", "[empty]"),
        ("漢字 읽기", "[other script]"),
        ("これは 일본어", "[other script]"),
        ("привет 안녕", "[other script]"),
        ("안녕 😀", "[other script]"),
        ("deep learning 입문", "[Latin words]"),
    ],
)
def test_a_line_is_cleaned_or_left_out(raw: str, text: str) -> None:
    assert texts(raw) == [text]


def test_signs_of_the_vocabulary_stay() -> None:
    cleaner = LineCleaner(Vocabulary.from_texts([SYLLABLES, " .?ㅋ♪漢]^-"]))
    assert texts("뭐? 漢字, 그래.ㅋ ♪", cleaner) == ["[other script]"]
    assert texts("뭐? 漢, 그래.ㅋ ♪]^-(응)", cleaner) == ["뭐? 漢 그래.ㅋ ♪]^- 응"]


def test_a_transcript_keeps_digits_and_latin_letters() -> None:
    cleaner = LineCleaner(Vocabulary.from_texts([SYLLABLES, " 0123456789DNA"]))
    assert texts("8년 동안 DNA를.", cleaner, read_out=False) == ["8년 동안 DNA를"]


def test_only_long_lines_are_split_into_their_sentences() -> None:
    short = "밥을 먹었다. 잠을 잤다?"
    (line,) = CLEANER.clean(short, read_out=True)
    assert isinstance(line, CleanLine)
    assert line.sentences == ("밥을 먹었다", "잠을 잤다")
    assert line.text == "밥을 먹었다 잠을 잤다"
    long = "가" * 60 + '이라고 "했다." ' + "나" * 60 + "! 3.5배다. 漢字. 끝…"
    assert texts(long) == [
        "가" * 60 + "이라고 했다",
        "나" * 60,
        "삼 점 오 배다",
        "[other script]",
        "끝",
    ]


def test_sentences_that_are_too_long_are_cut_at_spaces() -> None:
    words = ["가나다라마"] * 300
    lines = texts(" ".join(words))
    assert " ".join(lines) == " ".join(words)
    assert all(len(line) <= 500 for line in lines)
    assert len(lines) == 4
    assert texts("가" * 1200) == ["가" * 500, "가" * 500, "가" * 200]


def test_few_unknown_characters_become_padding_and_many_drop_the_line() -> None:
    vocabulary = Vocabulary.from_texts(["가나다라마 "])
    cleaner = LineCleaner(vocabulary)
    (line,) = cleaner.clean("가나다라마 가나다힣", read_out=True)
    assert isinstance(line, CleanLine)
    assert np.flatnonzero(line.ids == vocabulary.pad_id).tolist() == [9]
    assert texts("가나다라마 가나힣", cleaner) == ["[unknown characters]"]  # 1 of 9


def test_jamo_are_ids_of_decomposed_text() -> None:
    vocabulary = Vocabulary.from_texts(["가나다한글 "], kind="jamo")
    (line,) = LineCleaner(vocabulary).clean("한글 가나", read_out=True)
    assert isinstance(line, CleanLine)
    assert len(line.ids) == 11
    assert vocabulary.decode(line.ids.tolist()) == "한글 가나"


def test_ids_have_two_bytes_where_that_is_enough() -> None:
    assert id_type(HANGUL) == np.uint16
    many = (*(chr(code) for code in range(0x20000, 0x20000 + 2**16)), "<s>", "</s>", "_")
    assert id_type(Vocabulary(many)) == np.uint32


RAW = st.text(
    st.sampled_from("가나다한글 .?!,()20살%KBSab漢ㅋ\t\u1112\u1161\u11ab'·~"), max_size=300
)


@given(RAW, st.booleans())
def test_the_ids_of_any_line_decode_back_to_its_text(raw: str, read_out: bool) -> None:
    for line in CLEANER.clean(raw, read_out):
        if isinstance(line, CleanLine):
            assert line.ids.dtype == np.uint16
            known = re.sub("[^가-힣 ]", "", line.text)
            assert HANGUL.decode(line.ids.tolist()) == known
            assert len(line.ids) == len(line.text)
            assert line.text == " ".join(line.sentences) == " ".join(line.text.split())


@given(RAW)
def test_cleaning_again_changes_nothing(raw: str) -> None:
    for line in CLEANER.clean(raw, read_out=True):
        if isinstance(line, CleanLine) and len(line.text) <= 100:
            assert texts(line.text) == [line.text]


def test_lines_in_units_of_several_characters() -> None:
    """The same lines as in syllables, in other ids; what is unknown counts by characters."""
    lines = ["나는 학교에 간다", "나는 집에 간다", "그는 밖밖에 학교에 간다"]
    units = Vocabulary.learn(lines[:2], 30)
    syllables = Vocabulary.from_texts(lines[:2])
    for raw in (*lines, "그는 20살이다.", "밖 나"):
        (found,) = LineCleaner(units).clean(raw, read_out=True)
        (expected,) = LineCleaner(syllables).clean(raw, read_out=True)
        if not isinstance(expected, CleanLine):
            assert found == expected
            continue
        assert isinstance(found, CleanLine)
        assert (found.text, found.sentences) == (expected.text, expected.sentences)
        assert found.ids.tolist() == units.encode_all(found.text)
        assert found.ids.dtype == id_type(units)
