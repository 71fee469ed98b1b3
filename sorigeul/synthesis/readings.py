"""Readings of Korean numbers, telephone numbers, times and dates.

Numbers are spelled out in Hangul and spaced as in the national orthography: ten thousands apart,
counters apart.
"""

_DIGITS = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
_PHONE_DIGITS = "공일이삼사오육칠팔구"
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_NATIVE_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_MONTHS = {6: "유월", 10: "시월"}


def sino(number: int) -> str:
    """Sino-Korean reading of 0 to 99,999,999: ``12500`` -> ``만 이천오백``.

    Ten thousands are written apart (한글 맞춤법 제44항), and 10,000 is ``만``, not ``일만``.
    """
    if not 0 <= number < 10**8:
        raise ValueError(f"no reading of {number}: 0 to 99,999,999 are read here")
    if number == 0:
        return "영"
    high, low = divmod(number, 10_000)
    words = []
    if high:
        words.append(("" if high == 1 else _below_ten_thousand(high)) + "만")
    if low:
        words.append(_below_ten_thousand(low))
    return " ".join(words)


def _below_ten_thousand(number: int) -> str:
    reading = ""
    for power, unit in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit = number // power % 10
        if digit:
            reading += ("" if digit == 1 and unit else _DIGITS[digit]) + unit
    return reading


def native(number: int) -> str:
    """Native reading of 1 to 99 before a counter: ``3`` -> ``세``, ``20`` -> ``스무``."""
    if not 1 <= number <= 99:
        raise ValueError(f"no native reading of {number}: 1 to 99 have one")
    tens, ones = divmod(number, 10)
    if number == 20:
        return "스무"
    return _NATIVE_TENS[tens] + _NATIVE_ONES[ones]


def digits(number: str) -> str:
    """Digit-by-digit reading, grouped by hyphens: ``010-2345`` -> ``공일공 이삼사오``."""
    groups = number.split("-")
    return " ".join("".join(_PHONE_DIGITS[int(digit)] for digit in group) for group in groups)


def clock(hour: int, minute: int) -> str:
    """Time of day, 24-hour clock: ``15, 20`` -> ``오후 세 시 이십 분``; 30 minutes are ``반``."""
    if not (0 <= hour < 24 and 0 <= minute < 60):
        raise ValueError(f"no such time of day: {hour}:{minute:02}")
    reading = f"{'오전' if hour < 12 else '오후'} {native(hour % 12 or 12)} 시"
    if minute == 30:
        return f"{reading} 반"
    return f"{reading} {sino(minute)} 분" if minute else reading


def date(month: int, day: int) -> str:
    """Month and day: ``6, 25`` -> ``유월 이십오 일``."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        raise ValueError(f"no such date: month {month}, day {day}")
    return f"{_MONTHS.get(month) or sino(month) + '월'} {sino(day)} 일"
