"""Times, dates and telephone numbers as they are read aloud."""

from collections.abc import Callable

import pytest

from sorigeul.synthesis.readings import clock, date, digits


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


@pytest.mark.parametrize("call", [lambda: clock(24, 0), lambda: clock(1, 60), lambda: date(13, 1)])
def test_impossible_times_are_refused(call: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match="no such"):
        call()
