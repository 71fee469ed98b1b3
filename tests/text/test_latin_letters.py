"""Abbreviations and loanwords in Hangul, and back."""

import pytest

from sorigeul.text.latin_letters import letter_readings, letters_of


def reading(word: str) -> str | None:
    """The standard reading, if there is one."""
    pieces = letter_readings(word)
    return None if pieces is None else "".join(piece[0] for piece in pieces)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("KBS", "케이비에스"),
        ("pc", "피씨"),
        ("A", "에이"),
        ("NATO", "나토"),
        ("internet", "인터넷"),
        ("YouTube", "유튜브"),
        ("K-pop", "케이팝"),
        ("Wi-Fi", "와이파이"),
        ("learning", None),
        ("x-ray", None),
        ("JUST", None),
        ("HELLOWORLD", None),
    ],
)
def test_words_are_spelt_known_or_left_alone(word: str, expected: str | None) -> None:
    assert reading(word) == expected


@pytest.mark.parametrize("word", ["KBS", "DSLR", "USB", "DNA", "OECD", "CEO", "PC", "TV", "VIP"])
def test_an_abbreviation_comes_back(word: str) -> None:
    assert letters_of(reading(word) or "") == word


@pytest.mark.parametrize(
    "word", ["아이", "비디오", "이유", "오지", "유지", "알지", "이오", "아이디", ""]
)
def test_other_words_that_are_names_of_letters_stay(word: str) -> None:
    assert letters_of(word) is None
