"""Readings of numbers, against num2words and the grammar of native numbers."""

import random

import pytest
from num2words import num2words

from sorigeul.text.numerals import LARGEST, digit_by_digit, native, native_before_counter, sino


def test_sino_korean_numbers_agree_with_num2words() -> None:
    numbers = random.Random(1)
    sample = [numbers.randrange(10 ** numbers.randint(5, 20)) for _ in range(1000)]
    for number in [*range(10_001), *(10**power for power in range(20)), *sample, LARGEST]:
        assert sino(number) == num2words(number, lang="ko"), number


@pytest.mark.prove
def test_every_integer_to_a_million_agrees_with_num2words() -> None:
    for number in range(1_000_001):
        assert sino(number) == num2words(number, lang="ko"), number


@pytest.mark.parametrize("number", [-1, LARGEST + 1])
def test_numbers_without_a_reading_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="no reading"):
        sino(number)


def test_native_numbers_are_tens_and_ones() -> None:
    assert [native(number) for number in (1, 2, 3, 4, 9)] == ["하나", "둘", "셋", "넷", "아홉"]
    assert [native(number) for number in (10, 20, 30, 40, 50)] == [
        "열",
        "스물",
        "서른",
        "마흔",
        "쉰",
    ]
    assert [native(number) for number in (50, 60, 70, 80)] == ["쉰", "예순", "일흔", "여든"]
    for tens in range(10, 100, 10):
        for ones in range(1, 10):
            assert native(tens + ones) == native(tens) + native(ones)
    assert len({native(number) for number in range(1, 100)}) == 99


def test_before_a_counter_five_endings_are_shorter() -> None:
    changed = {n for n in range(1, 100) if native(n) != native_before_counter(n)}
    assert changed == {n for n in range(1, 100) if n % 10 in (1, 2, 3, 4)} | {20}
    readings = [native_before_counter(number) for number in (1, 12, 23, 34, 20)]
    assert readings == ["한", "열두", "스물세", "서른네", "스무"]


@pytest.mark.parametrize("number", [0, 100])
def test_native_numbers_end_before_a_hundred(number: int) -> None:
    with pytest.raises(ValueError, match="no native reading"):
        native(number)


def test_digits_are_read_one_by_one() -> None:
    assert digit_by_digit("010") == "공일공"
    assert digit_by_digit("3050", zero="영") == "삼영오영"


@pytest.mark.parametrize(
    ("number", "reading"),
    [
        (0, "영"),
        (1, "일"),
        (10, "십"),
        (11, "십일"),
        (21, "이십일"),
        (100, "백"),
        (110, "백십"),
        (206, "이백육"),
        (1_000, "천"),
        (1_999, "천구백구십구"),
        (2_024, "이천이십사"),
        (10_000, "만"),
        (11_000, "만 천"),
        (12_500, "만 이천오백"),
        (20_001, "이만 일"),
        (110_000, "십일만"),
        (365_000, "삼십육만 오천"),
        (10_000_000, "천만"),
        (99_999_999, "구천구백구십구만 구천구백구십구"),
    ],
)
def test_sino_korean_examples(number: int, reading: str) -> None:
    assert sino(number) == reading


def test_every_number_has_a_reading_of_its_own() -> None:
    assert len({sino(number) for number in range(120_000)}) == 120_000
    assert len({native_before_counter(number) for number in range(1, 100)}) == 99


@pytest.mark.parametrize(
    ("number", "reading"),
    [
        *((1, "한"), (2, "두"), (3, "세"), (4, "네")),
        *((5, "다섯"), (6, "여섯"), (7, "일곱"), (8, "여덟")),
        *((9, "아홉"), (10, "열"), (11, "열한"), (12, "열두")),
        *((20, "스무"), (21, "스물한"), (35, "서른다섯"), (44, "마흔네"), (58, "쉰여덟")),
        *((60, "예순"), (72, "일흔두"), (86, "여든여섯"), (99, "아흔아홉")),
    ],
)
def test_native_numbers_before_a_counter(number: int, reading: str) -> None:
    assert native_before_counter(number) == reading
