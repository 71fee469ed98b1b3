"""Generates everyday Korean sentences from templates, written as they are spoken.

Numbers are spelled out in Hangul; there is no punctuation. The vocabulary is small on purpose, and
the combinations are many: a recogniser has to learn the syllables, and cannot memorise the
sentences.
"""

from collections.abc import Callable
from random import Random

from sorigeul.synthesis.readings import clock, date, digits
from sorigeul.text.jamo import positions
from sorigeul.text.numerals import native_before_counter, sino

MIN_SYLLABLES, MAX_SYLLABLES = 8, 25


def with_particle(noun: str, after_consonant: str, after_vowel: str) -> str:
    """Return ``noun`` with the particle that fits its last syllable: with a final or without."""
    _, _, final = positions(noun[-1])
    return noun + (after_consonant if final else after_vowel)


_CITIES = ("서울", "부산", "대구", "대전", "인천", "광주", "경주", "강릉", "전주", "수원")
_STATIONS = tuple(f"{name}역" for name in (*_CITIES[:4], "강남", "시청", "신촌", "잠실", "사당"))
_PLACES = ("도서관", "학교", "병원", "회사", "시장", "공원", "은행", "식당", "극장")
_PEOPLE = ("어머니", "아버지", "할머니", "할아버지", "동생", "친구", "선생님")
_GOODS = {
    "개": ("사과", "배", "빵"),
    "잔": ("커피", "차", "주스"),
    "병": ("물", "우유", "주스"),
    "권": ("책", "공책"),
    "장": ("표", "수건"),
    "마리": ("생선", "닭"),
}


def _predicate(noun: str, random: Random) -> str:
    """``noun`` as a predicate, in one of the two polite styles."""
    return random.choice((noun + "입니다", with_particle(noun, "이에요", "예요")))


def _request(stem: str, random: Random) -> str:
    return stem + random.choice(("세요", "십시오"))


def _topic(noun: str) -> str:
    return with_particle(noun, "은", "는")


def _takes(random: Random) -> str:
    return random.choice(("걸려요", "걸립니다"))


def _day(random: Random) -> str:
    if random.random() < 0.5:
        return random.choice(("오늘", "내일", "모레"))
    return f"{random.choice(('이번', '다음'))} 주 {random.choice('월화수목금토일')}요일"


def _minutes(random: Random) -> int:
    return random.choice((random.randrange(60), random.randrange(0, 60, 10)))


def _goods(random: Random) -> str:
    counter = random.choice(tuple(_GOODS))
    good = random.choice(_GOODS[counter])
    return f"{good} {native_before_counter(random.randint(1, 20))} {counter}"


def _meeting(random: Random) -> str:
    time = clock(random.randrange(7, 22), _minutes(random))
    place = random.choice((*_STATIONS, *_PLACES))
    act = random.choice(("만나요", "만납시다", "기다릴게요", "회의가 있습니다", "약속이 있어요"))
    return f"{_day(random)} {time}에 {place}에서 {act}"


def _price(random: Random) -> str:
    amount = sino(random.randint(5, 400) * random.choice((100, 100, 1000)))
    if random.random() < 0.5:
        return f"{_goods(random)}에 {_predicate(f'{amount} 원', random)}"
    verb = random.choice(("샀어요", "팔았습니다"))
    return f"{with_particle(_goods(random), '을', '를')} {amount} 원에 {verb}"


def _order(random: Random) -> str:
    return (
        f"{_goods(random)}하고 {_goods(random)} {random.choice(('주세요', '샀어요', '있습니까'))}"
    )


def _calendar(random: Random) -> str:
    day = date(random.randint(1, 12), random.randint(1, 28))
    if random.random() < 0.3:
        who = random.choice(("저는", "제 동생은", "친구는"))
        return f"{who} {sino(random.randint(1950, 2024))} 년 {day}에 태어났어요"
    event = random.choice(("생일", "결혼식", "한국어 시험", "여행", "회의"))
    return (
        f"{random.choice(('제', '우리', '친구', '동생'))} {_topic(event)} {_predicate(day, random)}"
    )


def _telephone(random: Random) -> str:
    owner = random.choice(("제", "우리 집", "친구", *_PLACES))
    head = random.choice(("010", "02"))
    number = f"{head}-{random.randrange(10_000):04}-{random.randrange(10_000):04}"
    return f"{owner} {_topic('전화번호')} {_predicate(digits(number), random)}"


def _journey(random: Random) -> str:
    start, end = random.sample(_CITIES, 2)
    vehicle = random.choice(("기차로", "버스로", "자동차로"))
    minutes = _minutes(random)
    length = f"{native_before_counter(random.randint(1, 6))} 시간"
    if minutes:
        length += f" {sino(minutes)} 분"
    return f"{start}에서 {end}까지 {vehicle} {length} {_takes(random)}"


def _directions(random: Random) -> str:
    way = f"{random.choice(('집', *_PLACES))}에서 {random.choice(_STATIONS)}까지"
    if random.random() < 0.3:
        return f"{way} 어떻게 {random.choice(('가요', '가야 해요', '갑니까'))}"
    how = random.choice(("걸어서", "버스로", "택시로", "지하철로"))
    return f"{way} {how} {sino(random.randint(2, 59))} 분 {_takes(random)}"


def _transit(random: Random) -> str:
    station = random.choice(_STATIONS)
    if random.random() < 0.4:
        return f"{station} {sino(random.randint(1, 14))} 번 출구로 {_request('나오', random)}"
    line = f"{sino(random.randint(1, 9))} 호선"
    bus = f"{sino(random.randint(10, 999))} 번 버스"
    ride = with_particle(random.choice((line, bus)), "을", "를")
    return f"{ride} 타고 {station}에서 {_request('내리', random)}"


def _weather(random: Random) -> str:
    where = f"{random.choice(('오늘', '내일', '모레'))} {random.choice(_CITIES)}"
    part = random.choice(("아침", "낮", "저녁"))
    if random.random() < 0.4:
        change = random.choice(("비가 오겠습니다", "눈이 오겠습니다", "바람이 불겠습니다"))
        return f"{where}에는 {part}부터 {change}"
    degrees = random.choice((sino(random.randint(1, 38)), f"영하 {sino(random.randint(1, 19))}"))
    return f"{where} {part} 기온은 {_predicate(f'{degrees} 도', random)}"


def _age(random: Random) -> str:
    person, youngest, oldest = random.choice(
        (("동생", 5, 39), ("어머니", 40, 69), ("할머니", 60, 99), ("할아버지", 60, 99))
    )
    years = f"{native_before_counter(random.randint(youngest, oldest))} 살"
    age = _predicate(years, random) if person == "동생" else f"{years}이세요"
    return f"{random.choice(('우리', '제'))} {_topic(person)} 올해 {age}"


def _building(random: Random) -> str:
    room = random.choice(("사무실", "화장실", "회의실", "교실"))
    if random.random() < 0.4:
        number = random.randint(1, 30) * 100 + random.randint(1, 40)
        return f"{random.choice(_PLACES)} {_topic(room)} {_predicate(f'{sino(number)} 호', random)}"
    floor = random.choice((sino(random.randint(1, 30)), f"지하 {sino(random.randint(1, 5))}"))
    verb = random.choice(("있어요", "있습니다"))
    return f"{random.choice(_PLACES)} {_topic(room)} {floor} 층에 {verb}"


def _statistic(random: Random) -> str:
    what, verbs = random.choice(
        (
            ("가격이", ("올랐어요", "내렸습니다")),
            ("인구가", ("늘었습니다", "줄었어요")),
            ("손님이", ("늘었습니다", "줄었어요")),
        )
    )
    percent = f"{sino(random.randint(1, 99))} 퍼센트"
    return f"올해 {random.choice(_CITIES)} {what} {percent} {random.choice(verbs)}"


# Object, past tense, the form before 있어요 (is doing) or 싶어요 (wants to do), and the form before
# 거예요 (is going to do).
_ACTIVITIES = (
    ("밥을", "먹었어요", "먹고", "먹을"),
    ("점심을", "먹었어요", "먹고", "먹을"),
    ("커피를", "마셨어요", "마시고", "마실"),
    ("책을", "읽었어요", "읽고", "읽을"),
    ("한국어를", "공부했어요", "공부하고", "공부할"),
    ("운동을", "했어요", "하고", "할"),
    ("이야기를", "했어요", "하고", "할"),
    ("사진을", "찍었어요", "찍고", "찍을"),
)


def _activity(random: Random) -> str:
    object_, past, connective, prospective = random.choice(_ACTIVITIES)
    when, verb = random.choice(
        (
            ("어제", past),
            ("지난주에", past),
            ("지금", f"{connective} 있어요"),
            ("오늘", f"{connective} 싶어요"),
            ("내일", f"{prospective} 거예요"),
            ("주말에", f"{prospective} 겁니다"),
        )
    )
    company = with_particle(random.choice(_PEOPLE), "과", "와")
    return f"{when} {company} {random.choice(('집', *_PLACES))}에서 {object_} {verb}"


_REASONS = (
    *("비가 와서", "눈이 와서", "날씨가 좋아서", "시간이 없어서"),
    *("길이 막혀서", "배가 고파서", "머리가 아파서"),
)
_RESULTS = (
    *("집에 있었어요", "택시를 탔어요", "학교에 못 갔어요", "회의에 늦었어요", "병원에 갔습니다"),
    *("일찍 잤어요", "밥을 많이 먹었어요", "공원에서 걸었어요", "일찍 왔습니다"),
)


def _reason(random: Random) -> str:
    who = random.choice(("저는", "동생은", "친구는", "어머니는", "선생님은"))
    when = random.choice(("어제", "오늘", "아까"))
    return f"{when} {who} {random.choice(_REASONS)} {random.choice(_RESULTS)}"


# Activities and reasons are listed twice, so drawn twice as often: they have many syllables, each
# of them rarer than a numeral.
_TEMPLATES: tuple[Callable[[Random], str], ...] = (
    *(_meeting, _price, _order, _calendar, _telephone, _journey, _directions, _transit),
    *(_weather, _age, _building, _statistic, _activity, _activity, _reason, _reason),
)


def sentence(random: Random) -> str:
    """Return a sentence of `MIN_SYLLABLES` to `MAX_SYLLABLES` syllables, drawn with ``random``."""
    while True:
        text = random.choice(_TEMPLATES)(random)
        if MIN_SYLLABLES <= len(text.replace(" ", "")) <= MAX_SYLLABLES:
            return text
