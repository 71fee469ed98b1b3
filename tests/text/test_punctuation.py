"""Punctuation is told from signs that are read aloud, and dropped so that words stay whole."""

import unicodedata

import pytest
from helpers.texts import ANY_TEXT
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigeul.text.punctuation import drop_punctuation, ends_with_full_stop, spaced

PUNCTUATED = st.text("가나1 0,.-~:/'\"<>()·_A%\u0301\u1112\u1161", max_size=14)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("네, 알겠습니다!", "네 알겠습니다"),
        ("“그래요?”라고 물었다…", "그래요라고 물었다"),
        ("'사랑'을 (정말) 「나」는", "사랑을 정말 나는"),
        ("한·미 관계, 가~나", "한미 관계 가 나"),
        ("1,234,567원에 3.14, 3:30, 1/3, 20~30, -5도", "1234567원에 3.14 3:30 1/3 20~30 -5도"),
        ("010-1234-5678", "010 1234 5678"),
        ("70%, R&D, C#, a@b", "70% R&D C# a@b"),
        ("<기생충>을 봤다 ㅎㅎ;;", "기생충을 봤다 ㅎㅎ"),
        ("don't K-POP", "dont K POP"),
        ("밑_줄", "밑 줄"),
        ("… ?!", ""),
    ],
)
def test_punctuation_is_dropped_by_hand(text: str, expected: str) -> None:
    assert drop_punctuation(text) == expected


@settings(deadline=None)
@given(st.one_of(ANY_TEXT, PUNCTUATED))
def test_text_without_punctuation_does_not_change_again(text: str) -> None:
    clean = drop_punctuation(text)
    assert drop_punctuation(clean) == clean == unicodedata.normalize("NFC", clean)
    assert clean == " ".join(clean.split())
    words = "".join(filter(str.isalnum, unicodedata.normalize("NFC", text)))
    has_marks = any(map(unicodedata.combining, text))  # À may come of A)̀
    plain = words.isascii() or all("가" <= word <= "힣" for word in words)
    if plain and not has_marks:  # nothing composes
        assert "".join(filter(str.isalnum, clean)) == words


@settings(deadline=None)
@given(ANY_TEXT)
def test_a_space_takes_the_place_of_each_sign(text: str) -> None:
    without = spaced(text)
    assert len(without) == len(text)
    for old, new in zip(text, without, strict=True):
        assert new in (old, " ")
        assert new == old or not (old.isalnum() or old.isspace())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("그래.", True),
        ("그래…", True),
        ("“그래.” ", True),
        ("(그래.)", True),
        ("그래", False),
        ("모두 3", False),
        ("그래?", None),
        ("그래!", None),
        ("그래, ", None),
        ("“그래”", None),
        ("", None),
    ],
)
def test_how_a_text_ends(text: str, expected: bool | None) -> None:
    assert ends_with_full_stop(text) is expected
