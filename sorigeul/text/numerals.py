"""Readings of Korean numbers: Sino-Korean, native, and digit by digit.

Spaced as in the national orthography: every ten thousands apart (한글 맞춤법 제44항).
"""

LARGEST = 10**20 - 1
"""the largest number that `sino` reads"""

_DIGITS = ("", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
_MYRIADS = ("", "만", "억", "조", "경")
_NATIVE_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_NATIVE_ONES = ("", "하나", "둘", "셋", "넷", "다섯", "여섯", "일곱", "여덟", "아홉")
_BEFORE_COUNTER = {"하나": "한", "둘": "두", "셋": "세", "넷": "네", "스물": "스무"}


def sino(number: int) -> str:
    """Sino-Korean reading of 0 to `LARGEST`: ``12500`` -> ``만 이천오백``.

    10,000 is ``만``, not ``일만``, but 10^8 is ``일억``.
    """
    if not 0 <= number <= LARGEST:
        raise ValueError(f"no reading of {number}: 0 to {LARGEST} are read here")
    if number == 0:
        return "영"
    words: list[str] = []
    for power in reversed(range(len(_MYRIADS))):
        group = number // 10_000**power % 10_000
        if group:
            is_bare = power == 1 and group == 1
            words.append(("" if is_bare else _below_ten_thousand(group)) + _MYRIADS[power])
    return " ".join(words)


def _below_ten_thousand(number: int) -> str:
    reading = ""
    for power, unit in ((1000, "천"), (100, "백"), (10, "십"), (1, "")):
        digit = number // power % 10
        if digit:
            reading += ("" if digit == 1 and unit else _DIGITS[digit]) + unit
    return reading


def native(number: int) -> str:
    """Native name of 1 to 99: ``2`` -> ``둘``, ``20`` -> ``스물``."""
    if not 1 <= number <= 99:
        raise ValueError(f"no native reading of {number}: 1 to 99 have one")
    tens, ones = divmod(number, 10)
    return _NATIVE_TENS[tens] + _NATIVE_ONES[ones]


def native_before_counter(number: int) -> str:
    """Native reading of 1 to 99 before a counter: ``2`` -> ``두``, ``20`` -> ``스무``."""
    name = native(number)
    for long, short in _BEFORE_COUNTER.items():
        if name.endswith(long):
            return name.removesuffix(long) + short
    return name


def digit_by_digit(digits: str, zero: str = "공") -> str:
    """Each digit by itself: ``010`` -> ``공일공``; some say ``zero`` as ``영``."""
    return "".join(_DIGITS[int(digit)] or zero for digit in digits)
