"""Written text as it is spoken: numbers, units, signs and Latin letters in Hangul.

A scanner goes through the text from left to right and reads out what it knows. The counter after a
number decides between native and Sino-Korean. Some expressions have several readings, which only
their meaning tells apart. The standard readings here, and what else they could be:

- ``430명``: 사백삼십 명, Sino-Korean from 100 on (사백서른 명); but ones alone are native, 백한 명.
- ``12번``: 열두 번 (십이 번). From 20 on only some counters are native: 스무 살, but 이십 번.
- ``3번``: 세 번, times (삼 번, number three). ``3장``: 세 장, sheets (삼 장, chapter three).
- ``20대``: 이십 대, an age. ``3대``: 세 대, vehicles (삼 대, generations).
- ``1회``, ``3분``, ``2주``: Sino-Korean (한 회; 세 분, of people; 두 주).
- ``2018년``: 이천십팔 년 (이공일팔 년). ``101호``: 백일 호 (일공일 호).
- ``3:30``: 세 시 삼십 분. Other pairs are ratios: ``3:2``, 삼 대 이. ``1/3``: 삼 분의 일, no date.
- ``2~3개``: 두세 개. ``20~30개``: 스물에서 서른 개 (이십에서 삼십 개, 이삼십 개).
- ``010-1234``: 공일공 일이삼사 (영). ``A4``: 에이 사 (에이 포), but ``MP3``: 엠피쓰리.
- ``56백 명``: 오륙백 명. ``3,4명``: 서너 명. ``625 전쟁``: 육이오 전쟁.
- ``UCLA`` is spelt; of the abbreviations that are read as words (NATO, TED) a few are known.

English words cannot be read by rules: but for some loanwords (``internet``) they stay as they are,
and so do whole phrases of three words or more with one of them (``JUST DO IT``), and addresses.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable

from sorigeul.text.counters import Counter, counter_at
from sorigeul.text.latin_letters import (
    CURRENCIES,
    ENGLISH_DIGITS,
    FIXED,
    SPEEDS,
    UNITS,
    Readings,
    letter_readings,
)
from sorigeul.text.numerals import (
    LARGEST,
    digit_by_digit,
    native,
    native_before_counter,
    sino,
)

VERSION = 3
"""increases whenever any reading changes"""

Read = tuple[list[Readings], int]
"""the pieces of an expression, and where the rest of the text begins"""


def spoken(text: str) -> str:
    """The standard reading of a text: ``20살`` -> ``스무 살``, ``70%`` -> ``칠십 퍼센트``.

    NFC in, NFC out; a text without anything to read out is returned as it is.
    """
    if not _READ_OUT.search(text):
        return text
    reading = "".join(readings[0] for readings in alternatives(text))
    return unicodedata.normalize("NFC", reading)  # a letter may be followed by a combining mark


def alternatives(text: str) -> list[Readings]:
    """The text as a sequence of pieces, each with its possible readings, the standard one first.

    A piece of plain text has one reading, itself. All first readings together are `spoken(text)`.
    """
    text = text.translate(_FULL_WIDTH)
    text = _OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)
    pieces: list[Readings] = []
    position = 0
    while match := _EXPRESSION.search(text, position):
        start = match.start()
        pieces.append((text[position:start],))
        if start and _WANTS_SPACE_BEFORE.match(text, start - 1):
            pieces.append(_SPACE)
        pattern, read = _RULES[match.lastgroup or ""]
        expression = pattern.match(text, start)
        assert expression is not None
        read_pieces, position = read(expression)
        pieces.extend(read_pieces)
    pieces.append((text[position:],))
    return _joined(pieces)


def _joined(pieces: list[Readings]) -> list[Readings]:
    """The pieces without empty ones, and with neighbours that have one reading put together."""
    joined: list[Readings] = []
    for piece in pieces:
        distinct = tuple(dict.fromkeys(piece))
        if len(distinct) == 1 and joined and len(joined[-1]) == 1:
            joined[-1] = (joined[-1][0] + distinct[0],)
        elif distinct != ("",):
            joined.append(distinct)
    return joined or [("",)]


_SPACE: Readings = (" ",)
_POINT: Readings = (" 점 ",)
_UNTIL: Readings = ("에서 ", "부터 ", " ")
_HYPHEN: Readings = (" ", "에 ", " 다시 ", " 대 ")

_READ_OUT = re.compile(r"[\dA-Za-z%℃Ａ-Ｚａ-ｚ％]")
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")  # of other scripts
# 총3명, 10월6일 and 3만5천, but 제2차, 수10 and 3천5백 are one word.
_WANTS_SPACE_BEFORE = re.compile(r"[가-힣](?<![제수몇십백천])[\d$€£¥₩]")


def _words(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _ascending(following: str) -> str:
    """Matches 1 to 8 before what holds the next digit."""
    return "|".join(str(digit) + following.format(digit + 1) for digit in range(1, 9))


_INTEGER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
_WAVE = "[~∼〜]"
_DOTS = "·ㆍ‧・"  # in the middle of the line
_DOT = f"[{_DOTS}]"

_SCALE = re.compile(
    r"\s?([십백천]?(?:만(?![화남찬족기료약세나])|억|조(?![각건항합사기직금치카차]))"
    r"|(?<=\d)천(?![사국막연장문])|(?<=\d)백(?![화업신]))"
)
_UNIT = re.compile(rf"\s?({_words(UNITS)})(?!(?<=[A-Za-z])[A-Za-z0-9])")
_ORDINAL = re.compile(r"(?<![가-힣])제\s?$")
_AFTER_SPEED = re.compile(r"[시초]속\s?(?:약\s?)?$")

_WITHOUT_LEADING_ZEROS = frozenset(("월", "일", "시", "분", "초"))
_OFTEN_DIGIT_BY_DIGIT = frozenset(("년", "년도", "년생", "학번", "번", "호"))
_EMERGENCY_CALLS = frozenset(("112", "114", "119"))


def _read_number(match: re.Match[str]) -> Read:
    """A number with sign and decimals, and what follows it."""
    text, start, end = match.string, match.start(), match.end()
    currency, minus, digits, decimals = match.groups()
    is_ordinal = _ORDINAL.search(text[max(start - 3, 0) : start]) is not None
    if is_ordinal and text.startswith("조", end):  # an article of a law, no trillion
        return [_integer(digits), _SPACE], end
    scale = _SCALE.match(text, end)
    pieces: list[Readings] = []
    unit = _UNIT.match(text, end)
    if unit and unit[1] in SPEEDS and not _AFTER_SPEED.search(text, max(start - 6, 0), start):
        pieces.append(SPEEDS[unit[1]])
    if minus:
        pieces.append(("마이너스 ", "영하 "))
    if decimals:
        pieces += [_integer(digits), _POINT, *_spaced(decimals)]
    elif scale and digits == "1":
        # 만 and 천만, but 일억.
        pieces.append(("일",) if scale[1][0] in "억조" else ("", "일"))
    else:
        counter = None if scale or is_ordinal else counter_at(text, end)
        readings = _integer(digits, counter)
        if digits in _EMERGENCY_CALLS and not (scale or unit or counter):
            readings = (digit_by_digit(digits), *readings)
        if len(digits) == 1 and _is_beside_latin(text, start, end):
            readings = (*readings, ENGLISH_DIGITS[int(digits)])
        pieces.append(readings)
    if currency:
        scale_pieces = [(scale[1],)] if scale else []
        return [*pieces, *scale_pieces, _SPACE, UNITS[currency.strip()]], (scale or match).end()
    if is_ordinal and text.startswith("자", end):
        return pieces, end  # 제삼자, in one word
    following, end = _after_number(text, end)
    return pieces + following, end


def _after_number(text: str, end: int) -> Read:
    """Scale (만, 억) and unit after a number; or a space, if a counter is written close to it."""
    pieces: list[Readings] = []
    if scale := _SCALE.match(text, end):
        pieces.append((scale[1],))
        end = scale.end()
    if unit := _UNIT.match(text, end):
        return [*pieces, _SPACE, UNITS[unit[1]]], unit.end()
    counter = counter_at(text, end)
    if counter is not None and counter.word == "시" and text.startswith("시반", end):
        return [*pieces, (" 시 ",)], end + 1  # three and a half
    is_close = counter is not None and counter.word != "월" and not text[end].isspace()
    if is_close or re.match(r"(?!x\d)[A-Za-z]", text[end : end + 2]):
        pieces.append(_SPACE)
    return pieces, end


def _integer(digits: str, counter: Counter | None = None) -> Readings:
    """The readings of a number before a counter, if there is one."""
    digits = digits.replace(",", "")
    if counter and counter.word in _WITHOUT_LEADING_ZEROS:
        digits = digits.lstrip("0") or "0"
    each_digit = (digit_by_digit(digits), digit_by_digit(digits, "영"))
    if len(digits) > len(str(LARGEST)) or (digits[0] == "0" and len(digits) > 1):
        return each_digit
    number = int(digits)
    if number == 0:
        return ("영", "공", "제로")
    if counter and counter.word == "월" and number in (6, 10):
        return ("유" if number == 6 else "시", sino(number))
    if counter and counter.word == "번째" and number == 1:
        return ("첫", "한")
    chinese = [sino(number)]
    if chinese[0][0] in "십백천만":
        chinese.append("일" + chinese[0])
    if len(digits) > 2 or (counter and counter.word in _OFTEN_DIGIT_BY_DIGIT):
        chinese.extend(each_digit)
    natives = _native_readings(number, counter)
    return (*natives, *chinese) if _is_native(number, counter) else (*chinese, *natives)


def _is_native(number: int, counter: Counter | None) -> bool:
    if counter is None:
        return False
    ones_alone = number > 100 and 0 < number % 100 < 10
    return number <= counter.native_up_to or (ones_alone and counter.native_up_to > 12)


def _native_readings(number: int, counter: Counter | None) -> list[str]:
    """The readings with native tens and ones, if there are any: 백스물다섯."""
    below_hundred = number % 100
    if below_hundred == 0:
        return []
    hundreds = sino(number - below_hundred) if number > 100 else ""
    readings = [native_before_counter(below_hundred)]
    if counter is None:
        readings.append(native(below_hundred))
    elif below_hundred in (3, 4):
        readings.append("석" if below_hundred == 3 else "넉")
    return [hundreds + reading for reading in readings]


def _spaced(decimals: str) -> list[Readings]:
    """Digits after the point, apart: 일 사."""
    pieces: list[Readings] = []
    for digit in decimals:
        pieces += [(digit_by_digit(digit, "영"), digit_by_digit(digit)), _SPACE]
    return pieces[:-1]


def _is_beside_latin(text: str, start: int, end: int) -> bool:
    beside = text[max(start - 2, 0) : start].rstrip("-")[-1:] + text[end : end + 1]
    return re.search("[A-Za-z]", beside) is not None


_PAIRS = ("", "한두", "두세", "서너", "네다섯", "대여섯", "예닐곱", "일고여덟", "여덟아홉")


def _read_range(match: re.Match[str]) -> Read:
    """Two numbers with a common counter: 두세 개, 스물에서 서른 개."""
    text, end = match.string, match.end()
    low_digits, sign, high_digits = match.groups()
    low, high = int(low_digits), int(high_digits)
    counter = counter_at(text, end)
    if sign in f",{_DOTS}" and counter is None:
        return [_integer(low_digits)], match.end(1)
    following, rest = _after_number(text, end)
    if sign == "-" and (counter is None or low >= high):
        return [_integer(low_digits), _HYPHEN, _integer(high_digits), *following], rest
    is_native = _is_native(low, counter) and _is_native(high, counter)
    chinese = [f"{sino(low)}에서 {sino(high)}"]
    natives = []
    if 0 < low < high < 100:
        natives = [f"{native(low)}에서 {native_before_counter(high)}"]
    if 0 < low < 9 and high == low + 1:
        natives.insert(0, _PAIRS[low])
        chinese.insert(0, _neighbours(low_digits + high_digits))
    elif low % 10 == 0 and 0 < low < high == low + 10 < 100:
        chinese.append(_neighbours(f"{low // 10}{high // 10}") + "십")  # 이삼십
    readings = [*natives, *chinese] if is_native else [*chinese, *natives]
    return [tuple(readings), *following], rest


def _read_hundreds(match: re.Match[str]) -> Read:
    """Two digits for two numbers of hundreds: 오륙백 명."""
    following, end = _after_number(match.string, match.end())
    return [(_neighbours(match[0]), sino(int(match[0]))), *following], end


def _neighbours(digits: str) -> str:
    """Two digits that follow each other in one word: 이삼."""
    return digit_by_digit(digits).replace("오육", "오륙")


def _read_date(match: re.Match[str]) -> Read:
    year, month, day = match.groups()
    months = _integer(month, counter_at("월", 0))
    pieces = [_integer(year), (" 년 ",), months, ("월 ",), _integer(day, counter_at("일", 0))]
    return [*pieces, (" 일",)], match.end()


def _read_clock(match: re.Match[str]) -> Read:
    before, hour, minute, second, after = match.groups()
    half = (before or after or "").upper()
    pieces: list[Readings] = [("오전 " if half == "A" else "오후 ",)] if half else []
    pieces += [_integer(hour, counter_at("시", 0)), (" 시",)]
    if int(minute):
        minutes = sino(int(minute)) + " 분"
        pieces += [_SPACE, (minutes, "반") if minute == "30" and not second else (minutes,)]
    if second:
        pieces += [_SPACE, (sino(int(second)) + " 초",)]
    return pieces, match.end()


def _read_ratio(match: re.Match[str]) -> Read:
    left, right = match.groups()
    return [_integer(left), (" 대 ",), _integer(right)], match.end()


def _read_fraction(match: re.Match[str]) -> Read:
    numerator, denominator = match.groups()
    return [_integer(denominator), (" 분의 ",), _integer(numerator)], match.end()


def _read_phone(match: re.Match[str]) -> Read:
    pieces: list[Readings] = []
    for group in match[0].split("-"):
        pieces += [*((digit_by_digit(d), digit_by_digit(d, "영")) for d in group), _HYPHEN]
    return pieces[:-1], match.end()


def _read_dotted(match: re.Match[str]) -> Read:
    pieces: list[Readings] = []
    for group in match[0].split("."):
        pieces += [_integer(group), _POINT]
    return pieces[:-1], match.end()


def _read_event(match: re.Match[str]) -> Read:
    """The day of an event: 육이오, 오일팔, but 육십 and 십이 십이."""
    month, day = match.groups()
    whole = sino(int(day))
    each = digit_by_digit(day)
    as_number = day.endswith("0") or day == month
    pieces = [(sino(int(month)) + (" " if day == month else ""),)]
    return [*pieces, (whole, each) if as_number else (each, whole)], match.end()


# Also in small letters, but for 3g, which are grams.
_FIXED = FIXED | {
    word.lower(): readings for word, readings in FIXED.items() if not word.endswith("G")
}


def _read_fixed(match: re.Match[str]) -> Read:
    return [_FIXED[match[0]]], match.end()


def _read_until(match: re.Match[str]) -> Read:
    return [_UNTIL], match.end()


def _read_dot(match: re.Match[str]) -> Read:
    return [_SPACE], match.end()


def _keep(match: re.Match[str]) -> Read:
    return [(match[0],)], match.end()


_OPERATORS: dict[str, Readings] = {
    "x": (" 곱하기 ", " 엑스 ", " 바이 "),
    "×": (" 곱하기 ", " 엑스 ", " 바이 "),
    "+": (" 더하기 ", " 플러스 "),
    "÷": (" 나누기 ",),
    "=": ("은 ", "는 ", " 이퀄 "),
}


def _read_operator(match: re.Match[str]) -> Read:
    return [_OPERATORS[match[1]]], match.end()


def _read_letters(match: re.Match[str]) -> Read:
    """A word in Latin letters, with the hyphen or space before a number after it.

    Or a phrase, of which either all words are read or none.
    """
    text, end = match.string, match.end()
    pieces: list[Readings] = []
    for word in match[0].split(" "):
        readings = letter_readings(word)
        if readings is None:
            pieces = [(match[0],)]
            break
        pieces += [*([_SPACE] if pieces else []), *readings]
    if before_number := re.compile(r"-?(?=\d)").match(text, end):
        return [*pieces, _SPACE], before_number.end()
    return pieces, end


def _read_sign(match: re.Match[str]) -> Read:
    return [UNITS[match[0]]], match.end()


_EVENT_WORD = (
    "운동|절|혁명|항쟁|사태|전쟁|선언|테러|참사|쿠데타|민주|사변|의거|남침|경축|광복|합의"
    "|(?:비상)?계엄|내란|(?:남북 ?)?공동 ?(?:선언|성명)"
)
# Before these a full stop is a decimal point.
_DOTTED_WORD = "대책|총선|대선|지방선거|재보선|보궐선거"
_EVENT_DAY = (
    f"(?:1{_DOT}21|2{_DOT}28|3{_DOT}(?:1|15)|4{_DOT}(?:3|16|19|27)|5{_DOT}1[68]"
    f"|6{_DOT}(?:10|15|2[59])|7{_DOT}4|8{_DOT}15|9{_DOT}(?:11|19)|10{_DOT}(?:4|2[69])"
    f"|12{_DOT}(?:3|12))"
)
# Without the point between month and day.
_BARE_EVENT = "(?:419|516|518|625|815|911)"

_RULES: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str]], Read]]] = {
    name: (re.compile(pattern), read)
    for name, pattern, read in (
        (
            "address",
            r"(?:https?://|www\.)[!-~]+|(?<![\w.+-])[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
            r"|(?<![A-Za-z0-9.-])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:com|net|org|kr)(?![A-Za-z0-9])",
            _keep,
        ),
        (
            "date",
            r"(?<!\d)(\d{4})(?:\s?\.\s?|[-/])(0?[1-9]|1[0-2])(?:\s?\.\s?|[-/])"
            r"(0?[1-9]|[12]\d|3[01])(?!\d)\.?",
            _read_date,
        ),
        (
            "clock",
            r"(?:(?<![A-Za-z])([AaPp])[Mm]\s?)?(?<![\d:])(2[0-4]|[01]?\d):([0-5]\d)(?::([0-5]\d))?"
            r"(?![\d:])(?:\s?([AaPp])[Mm](?![A-Za-z]))?",
            _read_clock,
        ),
        ("ratio", r"(\d+)\s?:\s?(\d+)", _read_ratio),
        (
            "score",
            r"(\d{1,3})\s?대\s?(\d{1,3})(?=(?:으?로|의)?(?![\d가-힣A-Za-z%.,]))",
            _read_ratio,
        ),
        (
            "phone",
            r"(?<![\d.,])(?:\d{2,4}-\d{3,4}-\d{4}|\d{3,4}-\d{4}|\d{6}-\d{7}|\d+(?:-\d+){2,})(?!\d)",
            _read_phone,
        ),
        ("dotted", r"\d+(?:\.\d+){2,}", _read_dotted),
        ("fraction", rf"(?<![\d/])({_INTEGER})/({_INTEGER})(?![\d/])", _read_fraction),
        (
            "event",
            rf"(?<![\d.,{_DOTS}])(?=\d+[.{_DOTS}]\d+\s?(?:{_EVENT_WORD})"
            rf"|\d+{_DOT}\d+\s?(?:{_DOTTED_WORD})|{_EVENT_DAY}(?![\d{_DOTS}%]))"
            rf"(\d{{1,2}})[.{_DOTS}](\d{{1,2}})(?!\d)",
            _read_event,
        ),
        (
            "bare_event",
            rf"(?<![\d.,])(?={_BARE_EVENT}\s?(?:{_EVENT_WORD}))(\d)(\d\d)(?!\d)",
            _read_event,
        ),
        ("fixed", rf"(?<![A-Za-z0-9+])(?:{_words(_FIXED)})(?!\s?=|[A-Za-z0-9+])", _read_fixed),
        (
            "range",
            rf"(?<![\d.,])(\d{{1,4}})(\s?{_WAVE}\s?|-)(\d{{1,4}})(?![.,]?\d|-)",
            _read_range,
        ),
        (
            "neighbours",
            rf"(?<![\d.,{_DOTS}])({_ascending(f'(?=[,{_DOTS}]{{}})')})([,{_DOTS}])(\d)"
            rf"(?![\d.,{_DOTS}])",
            _read_range,
        ),
        ("hundreds", rf"(?<![\d.,])(?:{_ascending('{}')})(?=\s?백(?![화업신]))", _read_hundreds),
        (
            "number",
            rf"([{CURRENCIES}]\s?)?((?<![\w)\]%])[-−])?({_INTEGER})(?:\.(\d+))?",
            _read_number,
        ),
        (
            "until",
            rf"(?:(?<=\d)\s?{_WAVE}|(?:(?<=\d[가-힣%℃])|(?<=\d[가-힣][가-힣]))(?:\s?{_WAVE}|-))\s?(?=\d)",
            _read_until,
        ),
        ("dot", rf"(?<=\d){_DOT}(?=\d)", _read_dot),
        ("operator", r"(?<=\d)\s?([x×+÷=])\s?(?=\d)", _read_operator),
        (
            "letters",
            "[A-Z]+(?:&[A-Z]+)+(?![a-z])|[A-Z]/[A-Z](?![A-Za-z])|[A-Za-z]+(?: [A-Za-z]+){2,}"
            "|[A-Za-z]+-[A-Za-z]+(?![A-Za-z-])|[A-Za-z]+",
            _read_letters,
        ),
        ("sign", "[%℃]", _read_sign),
    )
}
"""how each kind of expression is written and read; the first that fits counts"""

# Most characters begin no expression: the lookahead saves trying each kind at each of them.
_EXPRESSION = re.compile(
    rf"(?=[0-9A-Za-z%℃−~∼〜×÷+={_DOTS}\s{CURRENCIES}-])(?:"
    + "|".join(f"(?P<{name}>{pattern.pattern})" for name, (pattern, _) in _RULES.items())
    + ")"
)
