"""Spoken text as it is written: number words in digits, units as signs, letter names as letters.

The inverse of `spoken_form`. A scanner goes through the text from left to right and looks at each
place where a word begins. Number words become digits only if they cannot well be anything else:

- before a counter or unit that goes with their kind: ``사백삼십 명`` -> ``430명``, ``세 시`` ->
  ``3시``; but 이 사람 (this person) stays, since two persons are 두 사람;
- if number words stand together: ``사백삼십`` -> ``430``; but 서른 and 오 stay.

A single number word is often another word: 이 (this), 일 (work), 사 (buy), 만 (only), 네 (your), 한
(about). So it counts only before the counters that tables here name. What ends in 일 or 이 without
a counter stays: 이십일 is 21 or twenty days, 팔십이 is 82 or 80 with a particle. After the counter
the word must end, or go on with a particle or an ending: 만점 and 세대 stay.

Digits have commas from 1,000 on, but not in years and numbers of houses, rooms and buses. What can
be divided by 10,000 is written with 만, 억 and 조: ``3만 명``, ``1억 2,000만 원``.
"""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sorigeul.text.counters import COUNTERS, GREAT, NO_COUNTERS
from sorigeul.text.latin_letters import LETTER_NAMES, letters_of
from sorigeul.text.number_words import (
    DIGIT,
    NATIVE,
    NATIVE_NAME,
    SCALES,
    SINO,
    digits,
    native_value,
    sino_value,
)

VERSION = 2
"""increases whenever any result changes"""


@dataclass(frozen=True)
class Replacement:
    """A stretch of spoken text, and what is written in its place, which has no spaces."""

    start: int
    end: int
    text: str


Replacements = list[Replacement]
"""in order, next to each other or apart; the first begins where the number does"""


def written(text: str) -> str:
    """The text as it is written: ``칠십 퍼센트`` -> ``70%``.

    NFC in, NFC out; a text without anything to write otherwise is returned as it is.
    """
    pieces: list[str] = []
    position = 0
    for replacement in replacements(text):
        pieces += [text[position : replacement.start], replacement.text]
        position = replacement.end
    if not pieces:
        return text
    return unicodedata.normalize("NFC", "".join([*pieces, text[position:]]))


def written_words(text: str) -> list[tuple[str, int, int]]:
    """The words of the written text, each with the first spoken word it stands for, and the last.

    Spoken words are counted from 0, as `str.split` divides them. Each belongs to one written word.
    """
    found = {replacement.start: replacement for replacement in replacements(text)}
    words: list[tuple[str, int, int]] = []
    word, first, last = "", 0, 0
    position = 0
    while position < len(text):
        if replacement := found.get(position):
            word += replacement.text
            last += len(text[position : replacement.end].split()) - 1
            position = replacement.end
            continue
        if not text[position].isspace():
            word += text[position]
        elif word:
            words.append((word, first, last))
            word, first, last = "", last + 1, last + 1
        position += 1
    return [*words, (word, first, last)] if word else words


def replacements(text: str) -> Replacements:
    """What is written otherwise than it is spoken, from left to right."""
    found: Replacements = []
    position = 0
    while start := _START.search(text, position):
        place = start.start()
        position = place + 1
        if _UNCERTAIN.search(text, max(place - 3, 0), place):
            words = _SINO_WORDS.match(text, place)
            position = max(words.end() if words else 0, position)
            continue
        if _is_second_of_pair(text, place) and not (found and found[-1].end == place - 1):
            continue
        for rule in _RULES[text[place]]:
            if replaced := rule(text, place):
                found += replaced
                position = replaced[-1].end
                break
    return found


_UNCERTAIN = re.compile(r"(?<![가-힣])(?:몇|수|여러) $")  # 몇 백 명: some hundreds
_SINO_WORDS = re.compile(SINO)


def _pairs() -> Iterable[str]:
    """Numbers that follow each other, said of about so many: 삼 사 개월, 천 이천 원, 세 네 명."""
    ones = "일이삼사오육칠팔구"
    native_ones = ["한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉", "열"]
    for low, high in [*itertools.pairwise(ones), *itertools.pairwise(native_ones)]:
        yield f"{low} (?={high})"
    for unit in "십백천만억":
        yield f"{unit} (?=이{unit})"
        for low, high in itertools.pairwise(ones):
            yield f"{low}{unit} (?={high}{unit})"


_FIRST_OF_PAIR = re.compile(f"(?<![가-힣])(?:{'|'.join(_pairs())})")


def _is_second_of_pair(text: str, place: int) -> bool:
    """Whether the number at a place ends a pair. If the first one stays in words, it does, too."""
    firsts = (_FIRST_OF_PAIR.match(text, place - length) for length in (2, 3) if length <= place)
    return any(first is not None and first.end() == place for first in firsts)


# What may follow a counter in the same word.

_SHORT_ENDINGS = """
    가 간 과 꼴 나 날 내 는 당 대 도 들 때 라 랑 로 를 만 말 뿐 산 생 씩 에 여 와 요 은 을 의 이 인
    임 전 죠 중 째 쯤 차 초 치 후
"""
_LONG_ENDINGS = """
    가까 가량 거든 군요 까지 남짓 넘 네요 동안 라고 라는 라서 래요 마다 만에 밖에 보다 부터 에게
    에는 에도 에서 였 예요 으로 이거 이건 이고 이구나 이군 이기 이긴 이길 이나 이내 이냐 이네 이니
    이다 이던 이든 이라 이란 이랑 이래 이랬 이며 이면 이상 이서 이세 이셨 이시 이신 이실 이십니
    이십시 이야 이었 이에 이자 이죠 이지 이하 인가 인데 인지 일까 일지 입니 잖 전에 정도 조차 지요
    짜리 처럼 하고
"""
_END = (
    rf"(?=(?:{'|'.join(_SHORT_ENDINGS.split())}){{0,3}}(?![가-힣])"
    rf"|(?:{'|'.join(_SHORT_ENDINGS.split())})?(?:{'|'.join(_LONG_ENDINGS.split())}))"
)
# 명일 때, 개일 뿐; but after a number 일 is a counter, and so it is in 삼월일일에.
_COUNTER_END = rf"(?:{_END}|(?=일(?![가-힣])))"

# Units that are written as signs.
_SIGNS = {
    "퍼센트 포인트": "%p",
    "퍼센트포인트": "%p",
    "퍼센트": "%",
    "프로": "%",
    "제곱킬로미터": "km²",
    "제곱미터": "m²",
    "세제곱미터": "m³",
    "킬로미터": "km",
    "센티미터": "cm",
    "밀리미터": "mm",
    "마이크로미터": "μm",
    "나노미터": "nm",
    "미터": "m",
    "킬로그램": "kg",
    "밀리그램": "mg",
    "마이크로그램": "μg",
    "그램": "g",
    "밀리리터": "ml",
    "데시리터": "dl",
    "리터": "L",
    "헥타르": "ha",
    "킬로칼로리": "kcal",
    "칼로리": "cal",
    "킬로와트시": "kWh",
    "킬로와트": "kW",
    "메가와트": "MW",
    "와트": "W",
    "킬로볼트": "kV",
    "밀리볼트": "mV",
    "볼트": "V",
    "밀리암페어시": "mAh",
    "밀리암페어": "mA",
    "밀리와트": "mW",
    "헥토파스칼": "hPa",
    "메가파스칼": "MPa",
    "킬로헤르츠": "kHz",
    "메가헤르츠": "MHz",
    "기가헤르츠": "GHz",
    "헤르츠": "Hz",
    "데시벨": "dB",
    "킬로바이트": "KB",
    "메가바이트": "MB",
    "기가바이트": "GB",
    "테라바이트": "TB",
}
_WITHOUT_COMMAS = frozenset(("년", "년도", "년대", "년생", "번", "번지", "학번", "호", "동"))


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _words(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_COUNTER = rf"(?!{_words(NO_COUNTERS)})(?:{_words({*COUNTERS, *_SIGNS})})"

# Counters before which a lone Sino-Korean word is a number, even 이 (this).
_DECISIVE = (
    _set("""
    개국 개년 개사 개소 개월 개점 거래일 교시 년 년간 년대 년도 년생 달러 득점 루블 루피 마일
    박 배럴 번지 분기 센트 센티 실점 안타 암페어 에이커 엔 연승 연패 옥타브 위안 유로 이닝 인분
    인승 인용 인치 주간 주년 주일 차선 초 초간 층 쿼터 킬로 타석 톤 파운드 피트 픽셀 학기 학년
    학번 호 호기 호봉 호선 홈런 회말
""")
    | set(_SIGNS)
) - {"프로"}
# Further ones before which any other lone word is.
_MOSTLY_DECISIVE = _set("""
    구역 권역 급 단 단계 도 등 등급 라운드 리 면 문항 바이트 박자 반 배속 번 부 분 분간 비트 세
    세기 세대 승 시즌 원 월 위 인 일 일간 장 절 점 조항 종 주 주기 주차 차 차원 차전 촌 패 페이지
    평 평형 포인트 프레임 프로 항 회 회차
""")
# But here they are other words, or other forms: 일도 (work, too), 사 주 (buy for somebody).
_OTHER_WORDS = {
    "일": "단 도 등 면 반 부 인 일",
    "사": "도 등 면 인 장 주",
    "오": "면 반",
    "구": "단 면 반 장",
    "만": "단 도 등급 면 반 번 부 세 인 일 장 조 주 차 회 위",
}
# Written in one word with a lone word, only these decide: 삼학년, but 사원, 이분 and 구도 stay.
_DECISIVE_CLOSE = _set("""
    개국 개년 개월 거래일 교시 그램 년간 년대 년도 년생 달러 등급 미터 밀리미터 분기 센티미터 인극
    인분 인승 인실 인용 인조 인칭 주년 차선 칼로리 퍼센트 킬로그램 킬로미터 학기 학년 학번 호선 회말
""")
_DECISIVE_CLOSE_OF_MOST = frozenset(("년", "월", "층", "등"))  # but 이년 and 만년 stay
_AFTER_HUNDREDS = frozenset(("개", "마리", "명", "시간", "원"))  # 백명, 천원; but 만원 stays

# A lone word is a number also after one with such a counter.
_SEQUENCES = {
    "년": "월 개월",
    "월": "일",
    "주": "일",
    "박": "일",
    "시": "분",
    "시간": "분",
    "분": "초",
    "학년": "반",
    "반": "번",
    "층": "호",
    "승": "무 패",
    "무": "패",
    "미터": "센티미터",
    "달러": "센트",
    "장": "절 조 항",
}
_BEFORE = re.compile(
    rf"[\d일이삼사오육칠팔구십백천만한두세네열섯곱덟홉유시무] ?({_words(_SEQUENCES)}) $"
)

# Number words that together are another word: if, at that time.
_NO_NUMBERS = frozenset(("십일조", "일만", *("만" + digit for digit in "일이삼사오육칠팔구")))
_IDIOMS = frozenset(("삼천리", "구만리", "백일장", "십일조", "오만가지"))
_LONE_SCALE = re.compile(r"[일이삼사오육칠팔구] ?[조경](?! ?\S*[억만])")  # 구조 (rescue), 이 조사

_MONEY = frozenset(("원", "달러", "엔", "위안", "유로"))

# Counters that a lone native word is written in digits before: 1명, 2명, 3명.
_AFTER_ONE = _set("개 곡 권 마리 명 병 살 시 시간 장 채")
_AFTER_FEW = _set("""
    가닥 가마니 가지 갈래 갑 개 건 겹 곡 곳 군데 권 그루 그릇 그룹 글자 꾸러미 끼 다발 단어 달 대
    덩어리 도막 마디 마리 명 모금 무더기 묶음 문장 문제 바구니 바퀴 박스 방울 배 번 번째 벌 병
    봉지 사발 살 상자 세트 송이 숟가락 스푼 시 시간 쌍 알 자루 자리 작품 잔 장 접시 조각 종류 줄
    줄기 차례 채 척 캔 컵 켤레 토막 톨 통 팀 파일 판 편 포기
""")
# But 네 편: on your side.
_YOURS = _set("그룹 글자 단어 문장 문제 방울 벌 알 자리 작품 줄 차례 통 팀 파일 판 편")
_AFTER_CLOSE = _set("가지 개 군데 권 마리 명 번 번째 달 배 살 시 시간")
_CLOSE_OTHER_WORDS = frozenset(("한번", "한배", "한살", "한권", "한시", "한달", "세배", "열병"))


def _number(value: int, counter: str = "") -> str:
    """A number below 10,000, or one that 10,000 does not divide, in digits."""
    plain = counter in _WITHOUT_COMMAS and value < 10_000
    return str(value) if plain else f"{value:,}"


def _sino_replacements(text: str, start: int, end: int, tail: str, tail_end: int) -> Replacements:
    """Sino-Korean words from `start` to `end`, with the counter or sign that goes on to `tail_end`.

    `tail` is what is written for what follows the number; empty if it stays as it is.
    """
    value = sino_value(text[start:end])
    if value % 10_000:
        return [Replacement(start, tail_end if tail else end, _number(value, tail) + tail)]
    groups = []
    scales = "".join(SCALES)
    for group in re.finditer(rf"(?!\s)[^{scales}]*[{scales}]", text[start:end]):
        words = group[0]
        number = f"{sino_value(words[:-1]) or 1:,}{words[-1]}"
        groups.append(Replacement(start + group.start(), start + group.end(), number))
    if tail in _SIGNS.values():
        last = groups[-1]
        groups[-1] = Replacement(last.start, tail_end, last.text + tail)
    return groups


def _is_after(text: str, place: int, counter: str) -> bool:
    """Whether what stands before a place makes a number before this counter likely."""
    before = _BEFORE.search(text, max(place - 8, 0), place)
    return before is not None and counter in _SEQUENCES[before[1]].split()


_SINO_COUNTED = re.compile(rf"({SINO})( ?)(?:(여)|({_COUNTER}){_COUNTER_END})")
_DAYS = re.compile(r" ?동안|간|째|까지|부터| ?만에| ?이내| ?전| ?후|치|날")


def _sino_counted(text: str, start: int) -> Replacements | None:
    """사백삼십 명, 칠십 퍼센트, 이십여 년."""
    match = _SINO_COUNTED.match(text, start)
    if match is None or not match[1]:
        return None
    number, gap, more, counter = match.groups()
    if more:
        is_number = sino_value(number) % 10 == 0 and not (number == "만" and gap)
        return _sino_replacements(text, start, match.end(1), "", 0) if is_number else None
    if not _goes_with(text, match):
        return None
    return _sino_replacements(text, start, match.end(1), _SIGNS.get(counter, counter), match.end())


def _is_plausible(number: str, counter: str = "") -> bool:
    """Whether Sino-Korean words are more than likely a number."""
    if _LONE_SCALE.match(number):
        return number[-1] in "조경" and counter in _MONEY
    return number not in _NO_NUMBERS


def _goes_with(text: str, match: re.Match[str]) -> bool:
    """Whether Sino-Korean words and what follows them are a number and its counter."""
    number, gap, _, counter = match.groups()
    value = sino_value(number)
    is_lone = len(number) == 1
    if number + counter == "천명" and text.startswith("하", match.end()):  # to declare
        return False
    if number + counter in _IDIOMS or not _is_plausible(number, counter):
        return False
    if COUNTERS.get(counter):  # one for native numbers
        if is_lone and value < 10:
            is_chapter = counter == "장" and _VERSE.match(text, match.end()) is not None
            return bool(gap) and (is_chapter or (counter == "번" and number != "이"))
        if (counter == "시" and value > 24) or (is_lone and counter == "해"):  # 만 해: only that
            return False
        return bool(gap) or not is_lone or (value > 10 and counter in _AFTER_HUNDREDS)
    if counter == "월" and value > 12:
        return False
    if number.startswith("만 ") and value < 11_000 and counter in ("세", "년", "개월", "일"):
        return False  # 만 이십 세: a full twenty years
    if is_lone:
        return _is_after(text, match.start(), counter) or _lone_goes_with(number, gap, counter)
    if counter == "일" and not gap and not _is_after(text, match.start(), counter):
        return _DAYS.match(text, match.end()) is not None
    return not (number.endswith("이") and counter == "면" and not gap)


def _lone_goes_with(number: str, gap: str, counter: str) -> bool:
    if not gap:
        if counter == "원":
            return number in "백천"
        if counter in _DECISIVE_CLOSE_OF_MOST:
            return number not in "이백천만" or counter == "월"
        return counter in _DECISIVE_CLOSE
    if counter in _OTHER_WORDS.get(number, "").split():
        return False
    return counter in _DECISIVE or (number != "이" and counter in _MOSTLY_DECISIVE)


_VERSE = re.compile(rf" {SINO} ?(?:절|조|항){_END}")


def _great(text: str, start: int) -> Replacements | None:
    """사대 보험; but 이대 축제 may be that of a university."""
    match = _GREAT.match(text, start)
    if match is None or match[1] in ("", "이", "천", "만"):
        return None
    return [Replacement(start, match.end(), f"{sino_value(match[1])}대")]


_GREAT = re.compile(rf"({SINO})(?={GREAT})대")

_NATIVE_COUNTED = re.compile(rf"({NATIVE})( ?)({_COUNTER}){_COUNTER_END}")


def _native_counted(text: str, start: int) -> Replacements | None:
    """스무 살, 세 시."""
    match = _NATIVE_COUNTED.match(text, start)
    if match is None:
        return None
    number, gap, counter = match.groups()
    value = native_value(number)
    if not COUNTERS.get(counter) or not _native_goes_with(value, bool(gap), counter, match[0]):
        return None
    if value == 1 and counter == "시" and text.startswith("도", match.end()):
        return None  # 한 시도: not for a moment
    if value == 2 and counter == "번" and text.startswith(" 다시", match.end()):
        return None  # 두 번 다시: never again
    return [Replacement(start, match.end(), f"{value}{counter}")]


def _native_goes_with(value: int, apart: bool, counter: str, words: str) -> bool:
    if value > 10:
        return True
    if not apart and words in _CLOSE_OTHER_WORDS:
        return False
    if not apart and value < 5 and counter not in _AFTER_CLOSE:
        return False
    if not apart and value == 10 and counter not in _AFTER_CLOSE:
        return False
    if value == 1:
        return counter in _AFTER_ONE
    if value == 4 and counter in _YOURS:
        return False
    return counter in _AFTER_FEW or value == 10


_MIXED_COUNTED = re.compile(rf"({SINO})( ?)({NATIVE})( ?)({_COUNTER}){_COUNTER_END}")


def _mixed_counted(text: str, start: int) -> Replacements | None:
    """백스물다섯 명."""
    match = _MIXED_COUNTED.match(text, start)
    if match is None or not match[1]:
        return None
    hundreds, gap, ones, _, counter = match.groups()
    value = sino_value(hundreds)
    if ones + counter == "세대" and not match[4]:  # households
        return None
    if hundreds[-1] in SCALES or (hundreds == "천" and (gap or ones == "한")):  # 천한: mean
        return None
    if value % 100 or not COUNTERS.get(counter) or not _is_plausible(hundreds + ones):
        return None
    number = _number(value + native_value(ones), counter)
    return [Replacement(start, match.end(), number + counter)]


_BARE = re.compile(rf"({SINO}){_END}")
_BARE_SHORT = re.compile(
    "[이삼사오육칠팔구]십|십[삼사오육칠팔구]|[이삼사오육칠팔구]백|[삼오육칠팔]천|[삼사육칠팔]만|[십백]만"
    "|[일이삼사오육칠팔구십백]억"
)


def _bare(text: str, start: int) -> Replacements | None:
    """사백삼십, if nothing is counted."""
    match = _BARE.match(text, start)
    if match is None:
        return None
    number, end = match[1], match.end()
    if number.endswith("이") and _COPULA.match(text, end - 1):  # 오천이백이라는
        number, end = number[:-1], end - 1
    compact = number.replace(" ", "")
    if number.startswith("만 ") and sino_value(number) < 11_000:
        return None  # 만 이십 세
    if len(compact) < 3 and not _BARE_SHORT.fullmatch(number):
        return None
    is_end = not re.match("[가-힣]", text[end : end + 1])
    if number.endswith("일") or (number.endswith("이") and is_end):
        return None
    return _sino_replacements(text, start, end, "", 0) if _is_plausible(compact) else None


_COPULA = re.compile("이(?:다|라|고|며|면|나|네|지|죠|야|었|에요|니)")


_MONTH = re.compile(rf"(유|시)월{_END}")


def _month(text: str, start: int) -> Replacements | None:
    """유월 and 시월, whose numbers are short."""
    match = _MONTH.match(text, start)
    if match is None:
        return None
    return [Replacement(start, match.end(), "6월" if match[1] == "유" else "10월")]


_ORDINAL = re.compile(rf"제( ?)({SINO})( ?)(차|회|대|장|조|항|호|권|부|과|절|편|단계|세대){_END}")


def _ordinal(text: str, start: int) -> Replacements | None:
    """제이 차; but 제일 (most) and 제 이 (this of mine) stay before other words."""
    match = _ORDINAL.match(text, start)
    if match is None or not match[2]:
        return None
    apart, number, gap, counter = match.groups()
    if number == "일" and counter in ("대", "부", "단계", "세대"):
        return None
    if len(number) == 1 and not gap and (apart or number == "사"):  # 제 사장, 제사장
        return None
    return [Replacement(start, match.end(), f"제{sino_value(number)}{counter}")]


_FRACTION = re.compile(rf"({SINO}) ?분 ?의 ?({SINO}){_END}")


def _fraction(text: str, start: int) -> Replacements | None:
    """삼 분의 일; but 이 분의 일 may be this person's work."""
    match = _FRACTION.match(text, start)
    if match is None or not match[1] or not match[2] or match[1] == "이":
        return None
    numerator, denominator = sino_value(match[2]), sino_value(match[1])
    return [Replacement(start, match.end(), f"{numerator}/{denominator}")]


_DECIMAL = re.compile(
    rf"(영|{SINO}) ?점 ?((?:{DIGIT} ?)*{DIGIT})(?:( ?)({_COUNTER}))?{_END}(?! ?점)"
)


def _decimal(text: str, start: int) -> Replacements | None:
    """삼 점 일 사; but 이 점 (this point) only with a unit."""
    match = _DECIMAL.match(text, start)
    if match is None or not match[1]:
        return None
    whole, decimals, _, counter = match.groups()
    if whole == "이" and counter not in ("배", *_SIGNS):
        return None
    if decimals in ("이", "일") and not counter:  # 만점이, 백 점 이
        return None
    if re.search("점[이일](?![가-힣])", match[0]) or not _is_plausible(whole):  # 이 점이 문제
        return None
    number = f"{0 if whole == '영' else sino_value(whole):,}.{digits(decimals)}"
    return [Replacement(start, match.end(), number + _SIGNS.get(counter, counter or ""))]


_FROM_ZERO = f"영|{SINO}"
_SCORED = "경쟁률|동점|리드|무승부|비율|승|승리|완승|완패|역전승|역전패|패|패배"
_RATIO = re.compile(
    rf"(?:(일) ?대 ?(일)|({_FROM_ZERO}) 대 ({_FROM_ZERO})(?!\s(?!(?:{_SCORED}){_END})\w)){_END}"
)


def _ratio(text: str, start: int) -> Replacements | None:
    """일 대 일; others with a particle or at the end, or if a score is told: 삼 대 영 승리."""
    match = _RATIO.match(text, start)
    if match is None:
        return None
    left, right = match[1] or match[3], match[2] or match[4]
    if not left or not right or (len(left) > 1 and sino_value(left) < 100):  # an age
        return None
    return [Replacement(start, match.end(), f"{sino_value(left)}:{sino_value(right)}")]


_RANGE = re.compile(
    rf"(?:({SINO})에서 ({SINO})|({NATIVE_NAME})에서 ({NATIVE}))( ?)({_COUNTER}){_END}"
)


def _range(text: str, start: int) -> Replacements | None:
    """이십에서 삼십 분."""
    match = _RANGE.match(text, start)
    if match is None:
        return None
    low_sino, high_sino, low_native, high_native, _, counter = match.groups()
    if low_native:
        low, high = native_value(low_native), native_value(high_native)
        fits = COUNTERS.get(counter, 0) > 0
    else:
        low, high = sino_value(low_sino or ""), sino_value(high_sino or "")
        fits = not COUNTERS.get(counter) or low > 9
    if not fits or not 0 < low < high < 10_000:
        return None
    return [Replacement(start, match.end(), f"{low}~{high}{_SIGNS.get(counter, counter)}")]


_NATIVE_PAIRS = ("두세", "서너", "네다섯", "대여섯", "예닐곱", "일고여덟", "여덟아홉")
_SINO_PAIRS = ("이삼", "삼사", "사오", "오륙", "육칠", "칠팔", "팔구")
_PAIR = re.compile(
    rf"(?:({'|'.join(_NATIVE_PAIRS)}|두 세)|({'|'.join(_SINO_PAIRS)})(십)?)( ?)({_COUNTER}){_END}"
)


def _pair(text: str, start: int) -> Replacements | None:
    """두세 명, 이삼 년, 이삼십 명."""
    match = _PAIR.match(text, start)
    if match is None:
        return None
    native, sino, tens, gap, counter = match.groups()
    limit = COUNTERS.get(counter, 0)
    if native:
        low, fits = _NATIVE_PAIRS.index(native.replace(" ", "")) + 2, limit > 0
    else:
        low, fits = _SINO_PAIRS.index(sino) + 2, bool(tens) or limit == 0
    if not fits or not (gap or tens):
        return None
    low, high = (low * 10, low * 10 + 10) if tens else (low, low + 1)
    return [Replacement(start, match.end(), f"{low}~{high}{_SIGNS.get(counter, counter)}")]


_TELEPHONE = re.compile(
    rf"({DIGIT}{{2,4}})((?: ?(?:에|다시)? {DIGIT}{{3,4}}){{1,2}}){_END}"
    rf"|({DIGIT}(?: ?{DIGIT}){{7,10}}){_END}"
)


def _telephone(text: str, start: int) -> Replacements | None:
    """공일공 일이삼사 오육칠팔."""
    match = _TELEPHONE.match(text, start)
    if match is None:
        return None
    if match[3]:
        groups = _divide(digits(match[3]))
    else:
        groups = [digits(group) for group in re.split(r" ?(?:에|다시)? ", match[0]) if group]
    number = "".join(groups)
    is_service = len(number) == 8 and number[:2] in ("15", "16", "18")
    if not is_service and not (number[0] == "0" and 9 <= len(number) <= 11):
        return None
    return [Replacement(start, match.end(), "-".join(groups))]


def _divide(number: str) -> list[str]:
    """The groups of a telephone number: area code, exchange, line."""
    area = 0 if number[0] != "0" else 2 if number[1] == "2" else 3
    return [group for group in (number[:area], number[area:-4], number[-4:]) if group]


_DIGITS = re.compile(
    rf"({DIGIT}{{4}}) ?(년도?){_END}"
    rf"|(공[일이삼오육칠팔구]{DIGIT}+|일일구|(?!공공){DIGIT}{{4,}}){_END}"
)


def _digit_by_digit(text: str, start: int) -> Replacements | None:
    """이공일팔 년, 일이삼사, 일일구."""
    match = _DIGITS.match(text, start)
    if match is None:
        return None
    year, counter, others = match.groups()
    words = year or others
    if len(set(words)) < 2 or _DOUBLED.fullmatch(words):
        return None
    return [Replacement(start, match.end(), digits(words) + (counter or ""))]


_DOUBLED = re.compile(r"(..)\1|(.)\2(.)\3")  # 사이사이, 삼삼오오

_EVENTS = {
    "사일구": "4·19",
    "오일육": "5·16",
    "오일팔": "5·18",
    "육이오": "6·25",
    "팔일오": "8·15",
    "구일일": "9·11",
    "십이십이": "12·12",
    "사일육": "4·16",
    "육일오": "6·15",
    "칠사": "7·4",
    "구일구": "9·19",
    "십이구": "10·29",
    "십이삼": "12·3",
}
# Of those that are mostly other numbers: what follows.
_EVENT_WORDS = {
    "십이십이": "사태",
    "사일육": "참사",
    "육일오": "(?:남북 ?)?공동 ?선언",
    "칠사": "(?:남북 ?)?공동 ?성명",
    "구일구": "(?:군사 ?)?합의",
    "십이구": "참사",
    "십이삼": "(?:비상 ?)?계엄|내란",
}
_EVENT = re.compile(
    "|".join(
        rf"{name}(?= (?:{_EVENT_WORDS[name]}))" if name in _EVENT_WORDS else f"{name}{_END}"
        for name in _EVENTS
    )
)


def _event(text: str, start: int) -> Replacements | None:
    """육이오."""
    match = _EVENT.match(text, start)
    if match is None:
        return None
    return [Replacement(start, match.end(), _EVENTS[match[0]])]


_LETTERS = re.compile(rf"({LETTER_NAMES})(?: ?({SINO}))?{_END}")
_ENDING = re.compile(_END)
_PAPER = re.compile(r"에이 사(?= ?용지| ?사이즈| ?크기| ?종이|$|[^\s가-힣])")


def _letters(text: str, start: int) -> Replacements | None:
    """디엔에이, 케이비에스, 에이 사 용지."""
    if paper := _PAPER.match(text, start):
        return [Replacement(start, paper.end(), "A4")]
    match = _LETTERS.match(text, start)
    if match is None:
        return None
    names, number = match[1], match[2] or ""
    if names.endswith("이") and number[:1] in ("십", "백", "천"):  # 지에스이십오: no E
        names, number = names[:-1], "이" + number
    elif re.search("[엘엠엔알]이$", names):  # a particle
        names = names[:-1]
    letters = letters_of(names)
    if letters is None:
        return None
    if len(number) < 2:
        end = start + len(names)
        return [Replacement(start, end, letters)] if _ENDING.match(text, end) else None
    return [Replacement(start, match.end(), f"{letters}{sino_value(number)}")]


def _minus(text: str, start: int) -> Replacements | None:
    """마이너스 오 도."""
    match = _MINUS.match(text, start)
    if match is None:
        return None
    for rule in (_decimal, _sino_counted, _bare):
        if replaced := rule(text, match.end()):
            first = replaced[0]
            return [Replacement(start, first.end, f"-{first.text}"), *replaced[1:]]
    return None


_MINUS = re.compile("마이너스 ")

Rule = Callable[[str, int], Replacements | None]
_SINO_RULES: tuple[Rule, ...] = (
    _telephone,
    _event,
    _great,
    _pair,
    _range,
    _fraction,
    _decimal,
    _ratio,
    _mixed_counted,
    _sino_counted,
    _digit_by_digit,
    _bare,
)
_NATIVE_RULES: tuple[Rule, ...] = (_pair, _range, _native_counted)
_BY_FIRST: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("일이삼사오육칠팔구십백천만영공", _SINO_RULES),
    ("한하두둘세셋네넷다여일아열스서마쉰예대", _NATIVE_RULES),
    ("유시", (_month,)),
    ("제", (_ordinal,)),
    ("마", (_minus,)),
    ("에비씨디이지아제케엘엠오피큐알티유브더엑와쓰파", (_letters,)),
)
_RULES: dict[str, tuple[Rule, ...]] = {
    first: tuple(rule for firsts, rules in _BY_FIRST if first in firsts for rule in rules)
    for firsts, _ in _BY_FIRST
    for first in firsts
}
"""what is tried where a word begins with a syllable; the first that fits counts"""
_START = re.compile(rf"(?<![가-힣A-Za-z0-9.,%²³])[{''.join(_RULES)}]")
