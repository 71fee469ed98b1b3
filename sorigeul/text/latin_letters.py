"""Readings of Latin letters, and of the units of measurement written in them, in Hangul."""

import re

Readings = tuple[str, ...]
"""readings of one expression, the standard one first"""

_LETTERS: dict[str, Readings] = {
    "A": ("에이",),
    "B": ("비",),
    "C": ("씨", "시"),
    "D": ("디",),
    "E": ("이",),
    "F": ("에프",),
    "G": ("지", "쥐"),
    "H": ("에이치", "에이취"),
    "I": ("아이",),
    "J": ("제이",),
    "K": ("케이",),
    "L": ("엘",),
    "M": ("엠",),
    "N": ("엔",),
    "O": ("오",),
    "P": ("피",),
    "Q": ("큐",),
    "R": ("알", "아르"),
    "S": ("에스",),
    "T": ("티",),
    "U": ("유",),
    "V": ("브이", "비"),
    "W": ("더블유", "더블류", "떠블유"),
    "X": ("엑스",),
    "Y": ("와이",),
    "Z": ("제트", "지"),
    "&": ("앤", "앤드"),
    "/": ("",),
}
# Abbreviations that are read as words, and others that are not read letter by letter.
_WORDS: dict[str, Readings] = {
    "AIDS": ("에이즈",),
    "APEC": ("에이펙",),
    "ASEAN": ("아세안",),
    "COVID": ("코비드",),
    "FIFA": ("피파",),
    "DOM": ("돔", "디오엠"),
    "JPEG": ("제이펙",),
    "JSON": ("제이슨",),
    "KAIST": ("카이스트",),
    "KOICA": ("코이카",),
    "KOSPI": ("코스피",),
    "KOTRA": ("코트라",),
    "LAN": ("랜",),
    "MERS": ("메르스",),
    "NASA": ("나사",),
    "NASDAQ": ("나스닥",),
    "NATO": ("나토",),
    "NO": ("노",),
    "OPEC": ("오펙",),
    "POSCO": ("포스코",),
    "RAM": ("램",),
    "ROM": ("롬",),
    "SARS": ("사스",),
    "TED": ("테드",),
    "TEDX": ("테드엑스",),
    "TOEFL": ("토플",),
    "TOEIC": ("토익",),
    "TV": ("티비", "티브이"),
    "UNESCO": ("유네스코",),
    "UNICEF": ("유니세프",),
    "USIM": ("유심",),
    "VIP": ("브이아이피",),
    "VS": ("대", "브이에스", "버서스"),
    "WIFI": ("와이파이",),
    "YMCA": ("와이엠씨에이",),
}
_LONGEST_ABBREVIATION = 5  # letters: longer words in capitals, such as 'HELLO!', are no such

_VOWEL = re.compile(r"[AEIOUYaeiouy]")

FIXED: dict[str, Readings] = {
    "MP3": ("엠피쓰리", "엠피삼"),
    "MP4": ("엠피포", "엠피사"),
    "2D": ("투디", "이디"),
    "3D": ("쓰리디", "삼디"),
    "4D": ("포디", "사디"),
    "3G": ("쓰리지", "삼지"),
    "4G": ("포지", "사지"),
    "5G": ("파이브지", "오지"),
    "1+1": ("원 플러스 원", "일 더하기 일"),
    "2+1": ("투 플러스 원", "이 더하기 일"),
}
"""abbreviations with English numbers"""

ENGLISH_DIGITS = ("제로", "원", "투", "쓰리", "포", "파이브", "식스", "세븐", "에이트", "나인")
"""readings of 0 to 9 beside Latin letters, as in MP3"""

UNITS: dict[str, Readings] = {
    "km/h": ("킬로미터", "킬로", "키로"),
    "㎞/h": ("킬로미터", "킬로", "키로"),
    "m/s": ("미터",),
    "km²": ("제곱킬로미터", "평방킬로미터"),
    "km2": ("제곱킬로미터", "평방킬로미터"),
    "㎢": ("제곱킬로미터", "평방킬로미터"),
    "m²": ("제곱미터", "평방미터"),
    "m2": ("제곱미터", "평방미터"),
    "㎡": ("제곱미터", "평방미터"),
    "m³": ("세제곱미터", "입방미터"),
    "m3": ("세제곱미터", "입방미터"),
    "㎥": ("세제곱미터", "입방미터"),
    "km": ("킬로미터", "킬로", "키로"),
    "㎞": ("킬로미터", "킬로", "키로"),
    "KM": ("킬로미터", "킬로", "키로"),
    "m": ("미터",),
    "cm": ("센티미터", "센티", "센치"),
    "㎝": ("센티미터", "센티", "센치"),
    "mm": ("밀리미터", "밀리", "미리"),
    "㎜": ("밀리미터", "밀리", "미리"),
    "nm": ("나노미터",),
    "kg": ("킬로그램", "킬로", "키로"),
    "㎏": ("킬로그램", "킬로", "키로"),
    "KG": ("킬로그램", "킬로", "키로"),
    "Kg": ("킬로그램", "킬로", "키로"),
    "g": ("그램",),
    "mg": ("밀리그램",),
    "㎎": ("밀리그램",),
    "t": ("톤",),
    "l": ("리터",),
    "L": ("리터",),
    "ℓ": ("리터",),
    "ml": ("밀리리터", "밀리", "미리"),
    "mL": ("밀리리터", "밀리", "미리"),
    "㎖": ("밀리리터", "밀리", "미리"),
    "ha": ("헥타르",),
    "kcal": ("킬로칼로리", "칼로리"),
    "cal": ("칼로리",),
    "W": ("와트",),
    "kW": ("킬로와트",),
    "MW": ("메가와트",),
    "kWh": ("킬로와트시",),
    "V": ("볼트",),
    "Hz": ("헤르츠",),
    "kHz": ("킬로헤르츠",),
    "MHz": ("메가헤르츠",),
    "GHz": ("기가헤르츠",),
    "dB": ("데시벨",),
    "KB": ("킬로바이트",),
    "MB": ("메가바이트", "메가"),
    "GB": ("기가바이트", "기가"),
    "TB": ("테라바이트", "테라"),
    "Mbps": ("메가비피에스",),
    "Gbps": ("기가비피에스",),
    "%p": ("퍼센트 포인트", "퍼센트포인트", "프로 포인트"),
    "%": ("퍼센트", "프로", "퍼센", "프로센트"),
    "％": ("퍼센트", "프로", "퍼센", "프로센트"),
    "‰": ("퍼밀",),
    "℃": ("도",),
    "°C": ("도",),
    "℉": ("도",),
    "°F": ("도",),
    "°": ("도",),
    "$": ("달러", "불"),
    "€": ("유로",),
    "£": ("파운드",),
    "¥": ("엔",),
    "₩": ("원",),
    "￦": ("원",),
}
"""readings of units and signs after a number"""

CURRENCIES = "$€£¥₩￦"
"""signs of units that may stand before the number, too"""


def letter_readings(word: str) -> list[Readings] | None:
    """The readings of a word in Latin letters, piece by piece; None if rules cannot read it.

    Words in capitals of up to five letters are spelt, as are words without a vowel (``pc``), and
    single letters.
    """
    if not (word.isupper() or len(word) == 1) and _VOWEL.search(word):
        return None
    if word.upper() in _WORDS:
        return [_WORDS[word.upper()]]
    if len(word) > _LONGEST_ABBREVIATION:
        return None
    return [_LETTERS[letter] for letter in word.upper()]
