"""Numbers, times, dates and telephone numbers as they are read aloud."""

from collections.abc import Callable

import pytest

from sorigeul.synthesis.readings import clock, date, digits, native, sino


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
def test_sino_korean_numbers(number: int, reading: str) -> None:
    assert sino(number) == reading


def test_every_number_has_a_reading_of_its_own() -> None:
    assert len({sino(number) for number in range(120_000)}) == 120_000
    assert len({native(number) for number in range(1, 100)}) == 99


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
    assert native(number) == reading


@pytest.mark.parametrize(
    ("hour", "minute", "reading"),
    [
        (15, 20, "오후 세 시 이십 분"),
        (9, 30, "오전 아홉 시 반"),
        (12, 0, "오후 열두 시"),
        (0, 5, "오전 열두 시 오 분"),
    ],
)
def test_times_of_day(hour: int, minute: int, reading: str) -> None:
    assert clock(hour, minute) == reading


def test_dates() -> None:
    assert [date(6, 25), date(10, 3)] == ["유월 이십오 일", "시월 삼 일"]
    assert [date(1, 1), date(12, 10)] == ["일월 일 일", "십이월 십 일"]


def test_telephone_numbers() -> None:
    assert digits("010-2345-6789") == "공일공 이삼사오 육칠팔구"


@pytest.mark.parametrize(
    "call", [lambda: sino(-1), lambda: sino(10**8), lambda: native(0), lambda: native(100)]
)
def test_numbers_without_a_reading_are_refused(call: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match="reading"):
        call()


@pytest.mark.parametrize("call", [lambda: clock(24, 0), lambda: clock(1, 60), lambda: date(13, 1)])
def test_impossible_times_are_refused(call: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match="no such"):
        call()
