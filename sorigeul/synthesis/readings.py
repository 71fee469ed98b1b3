"""Readings of telephone numbers, times and dates, with counters apart."""

from sorigeul.text.numerals import digit_by_digit, native_before_counter, sino

_MONTHS = {6: "유월", 10: "시월"}


def digits(number: str) -> str:
    """Digit-by-digit reading, grouped by hyphens: ``010-2345`` -> ``공일공 이삼사오``."""
    return " ".join(map(digit_by_digit, number.split("-")))


def clock(hour: int, minute: int) -> str:
    """Time of day, 24-hour clock: ``15, 20`` -> ``오후 세 시 이십 분``; 30 minutes are ``반``."""
    if not (0 <= hour < 24 and 0 <= minute < 60):
        raise ValueError(f"no such time of day: {hour}:{minute:02}")
    reading = f"{'오전' if hour < 12 else '오후'} {native_before_counter(hour % 12 or 12)} 시"
    if minute == 30:
        return f"{reading} 반"
    return f"{reading} {sino(minute)} 분" if minute else reading


def date(month: int, day: int) -> str:
    """Month and day: ``6, 25`` -> ``유월 이십오 일``."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError(f"no such date: month {month}, day {day}")
    return f"{_MONTHS.get(month) or sino(month) + '월'} {sino(day)} 일"
