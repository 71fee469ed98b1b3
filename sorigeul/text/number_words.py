"""Values of Korean number words: the inverse of `numerals`. Does not know what is a number word
where, only what it is worth.
"""

from sorigeul.text.numerals import native, native_before_counter

_DIGIT_WORDS = "일이삼사오육칠팔구"
_UNITS = {"십": 10, "백": 100, "천": 1000}
SCALES = {"만": 10**4, "억": 10**8, "조": 10**12, "경": 10**16}
"""words that multiply the number below 10,000 before them"""

_DIGIT = f"[{_DIGIT_WORDS}]"
_BELOW_TEN_THOUSAND = (
    "".join(rf"(?: ?(?:{_DIGIT} ?)?{unit})?" for unit in reversed(_UNITS)) + rf"(?: ?{_DIGIT})?"
)
SINO = (
    rf"(?=[{_DIGIT_WORDS}십백천만])"
    + "".join(rf"(?:{_BELOW_TEN_THOUSAND} ?{scale})?" for scale in reversed(SCALES))
    + _BELOW_TEN_THOUSAND
    + rf"(?! ?[{''.join(_UNITS)}만억])"  # 조 may be an article of a law
)
"""matches a Sino-Korean number of at least 1, with or without spaces in it; may match nothing

Units fall from left to right: 이만 삼만 is two numbers, and so is 천 이천."""

_NATIVE = {native_before_counter(number): number for number in range(1, 100)}
_NATIVE_NAMES = {native(number): number for number in range(1, 100)}
_TENS = "|".join(native(number) for number in range(10, 100, 10))
_ONES = "|".join(native_before_counter(number) for number in range(1, 10))
NATIVE = rf"(?:(?:{_TENS}) ?(?:{_ONES})|{_ONES}|스무|{_TENS.replace('|스물', '')})"
"""matches a native number as it stands before a counter"""
NATIVE_NAME = "|".join(sorted(_NATIVE_NAMES, key=len, reverse=True))
"""matches a native number that stands alone"""

DIGIT = f"[공영{_DIGIT_WORDS}]"
"""matches one digit of a number that is read digit by digit"""


def sino_value(words: str) -> int:
    """What Sino-Korean number words are worth: ``만 이천`` -> 12000."""
    total = group = digit = 0
    for word in words:
        if word in _DIGIT_WORDS:
            digit = _DIGIT_WORDS.index(word) + 1
        elif word in _UNITS:
            group += (digit or 1) * _UNITS[word]
            digit = 0
        elif word in SCALES:
            total += (group + digit or 1) * SCALES[word]
            group = digit = 0
    return total + group + digit


def native_value(words: str) -> int:
    """What a native number is worth: ``스물두``, ``스물둘`` -> 22."""
    name = "".join(words.split())
    return _NATIVE.get(name) or _NATIVE_NAMES[name]


def digits(words: str) -> str:
    """The digits of a number that is read digit by digit: ``공일공`` -> ``010``."""
    return "".join(
        "0" if word in "공영" else str(_DIGIT_WORDS.index(word) + 1)
        for word in words
        if not word.isspace()
    )
