"""Number words to their values: the inverse of the readings of numbers."""

import random
import re

import pytest

from sorigeul.text.number_words import (
    DIGIT,
    NATIVE,
    NATIVE_NAME,
    SINO,
    digits,
    native_value,
    sino_value,
)
from sorigeul.text.numerals import LARGEST, digit_by_digit, native, native_before_counter, sino


def agrees(number: int) -> bool:
    """Whether the reading of a number is one for the pattern too, and worth that number."""
    reading = sino(number)
    return sino_value(reading) == number and re.fullmatch(SINO, reading) is not None


def test_a_sino_korean_reading_is_worth_its_number() -> None:
    generator = random.Random(0)
    sample = [generator.randrange(1, 10 ** generator.randint(5, 20)) for _ in range(1000)]
    numbers = [*range(1, 3001), *(10**power for power in range(20)), *sample, LARGEST]
    assert [number for number in numbers if not agrees(number)] == []


@pytest.mark.prove
def test_every_integer_to_a_million_comes_back() -> None:
    assert [number for number in range(1, 1_000_001) if not agrees(number)] == []


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("일만", 10_000),
        ("일천", 1_000),
        ("칠 십", 70),
        ("백 사십", 140),
        ("이 백 오 십", 250),
        ("만오천", 15_000),
        ("삼 천 오백만", 35_000_000),
    ],
)
def test_spaces_and_a_superfluous_one_do_not_matter(words: str, value: int) -> None:
    assert sino_value(words) == value
    assert re.fullmatch(SINO, words)


@pytest.mark.parametrize("words", ["이사", "십백", "백천", "일이삼", "만만", "이십삼십", "삼 이"])
def test_words_that_make_no_number_do_not_match(words: str) -> None:
    assert not re.fullmatch(SINO, words)


def test_native_numbers_come_back() -> None:
    for number in range(1, 100):
        for word, pattern in (
            (native_before_counter(number), NATIVE),
            (native(number), NATIVE_NAME),
        ):
            assert native_value(word) == number
            assert re.fullmatch(pattern, word)
    assert native_value("열 두") == 12
    assert not re.fullmatch(NATIVE, "스물")


def test_digits_come_back() -> None:
    for number in ("010", "0123456789", "119"):
        assert digits(digit_by_digit(number)) == digits(digit_by_digit(number, "영")) == number
        assert re.fullmatch(f"{DIGIT}+", digit_by_digit(number))
