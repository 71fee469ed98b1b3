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
    "YMCA": ("와이엠씨에이",),
}
_LONGEST_ABBREVIATION = 5  # letters: longer words in capitals, such as 'HELLO!', are no such

# English words whose Hangul everybody knows, in capitals or not.
_LOANWORDS: dict[str, Readings] = {
    word: (reading,)
    for word, reading in (
        line.split()
        for line in """
        amazon 아마존
        android 안드로이드
        app 앱
        apple 애플
        blog 블로그
        bluetooth 블루투스
        cafe 카페
        chatgpt 챗지피티
        coffee 커피
        computer 컴퓨터
        data 데이터
        design 디자인
        digital 디지털
        drama 드라마
        e-mail 이메일
        email 이메일
        facebook 페이스북
        game 게임
        google 구글
        hotel 호텔
        instagram 인스타그램
        internet 인터넷
        ipad 아이패드
        iphone 아이폰
        java 자바
        javascript 자바스크립트
        kakao 카카오
        korea 코리아
        linux 리눅스
        microsoft 마이크로소프트
        mobile 모바일
        naver 네이버
        netflix 넷플릭스
        news 뉴스
        ok 오케이
        online 온라인
        pop 팝
        program 프로그램
        project 프로젝트
        python 파이썬
        samsung 삼성
        server 서버
        service 서비스
        smart 스마트
        software 소프트웨어
        sports 스포츠
        system 시스템
        team 팀
        tesla 테슬라
        twitter 트위터
        video 비디오
        web 웹
        wi-fi 와이파이
        wifi 와이파이
        windows 윈도우
        youtube 유튜브
        zoom 줌
        """.strip().splitlines()
    )
}
# English words that are no abbreviations even in capitals, so that rules cannot read them.
_ENGLISH = """
    ALL AND ARE AT BE BEST BUT BY BYE CAN DO FOR FROM GO GOOD HAVE HE HELLO HER HI HIS HOW IF IN IS
    JUST LET LIFE LOVE ME MY NEW NOT OF OLD ON ONE OR OUR OUT SEE SHE SO THANK THAT THE THEY THIS TO
    TOO TWO UP WAS WE WHAT WHEN WHO WHY WILL WITH YES YOU YOUR
"""
_ENGLISH_WORDS = frozenset(_ENGLISH.split())

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
    "No.1": ("넘버 원", "넘버원", "넘버 일"),
    "1+1": ("원 플러스 원", "일 더하기 일"),
    "2+1": ("투 플러스 원", "이 더하기 일"),
}
"""abbreviations with English numbers"""

ENGLISH_DIGITS = ("제로", "원", "투", "쓰리", "포", "파이브", "식스", "세븐", "에이트", "나인")
"""readings of 0 to 9 beside Latin letters, as in MP3"""

UNITS: dict[str, Readings] = {
    "km/h": ("킬로미터", "킬로", "키로"),
    "㎞/h": ("킬로미터", "킬로", "키로"),
    "km/s": ("킬로미터", "킬로", "키로"),
    "m/s": ("미터",),
    "㎧": ("미터",),
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
    "μm": ("마이크로미터",),
    "µm": ("마이크로미터",),
    "㎛": ("마이크로미터",),
    "nm": ("나노미터",),
    "㎚": ("나노미터",),
    "kg": ("킬로그램", "킬로", "키로"),
    "㎏": ("킬로그램", "킬로", "키로"),
    "KG": ("킬로그램", "킬로", "키로"),
    "Kg": ("킬로그램", "킬로", "키로"),
    "g": ("그램",),
    "mg": ("밀리그램",),
    "㎎": ("밀리그램",),
    "μg": ("마이크로그램",),
    "µg": ("마이크로그램",),
    "㎍": ("마이크로그램",),
    "t": ("톤",),
    "l": ("리터",),
    "L": ("리터",),
    "ℓ": ("리터",),
    "ml": ("밀리리터", "밀리", "미리"),
    "mL": ("밀리리터", "밀리", "미리"),
    "㎖": ("밀리리터", "밀리", "미리"),
    "dl": ("데시리터",),
    "㎗": ("데시리터",),
    "㏄": ("씨씨", "시시"),
    "ha": ("헥타르",),
    "㏊": ("헥타르",),
    "kcal": ("킬로칼로리", "칼로리"),
    "cal": ("칼로리",),
    "W": ("와트",),
    "mW": ("밀리와트",),
    "kW": ("킬로와트",),
    "㎾": ("킬로와트",),
    "MW": ("메가와트",),
    "㎿": ("메가와트",),
    "kWh": ("킬로와트시",),
    "V": ("볼트",),
    "kV": ("킬로볼트",),
    "mV": ("밀리볼트",),
    "mA": ("밀리암페어",),
    "mAh": ("밀리암페어시", "밀리암페어"),
    "Ω": ("옴",),
    "kΩ": ("킬로옴",),
    "hPa": ("헥토파스칼",),
    "MPa": ("메가파스칼",),
    "rpm": ("알피엠",),
    "Hz": ("헤르츠",),
    "㎐": ("헤르츠",),
    "kHz": ("킬로헤르츠",),
    "㎑": ("킬로헤르츠",),
    "MHz": ("메가헤르츠",),
    "㎒": ("메가헤르츠",),
    "GHz": ("기가헤르츠",),
    "㎓": ("기가헤르츠",),
    "dB": ("데시벨",),
    "㏈": ("데시벨",),
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

SPEEDS = {
    "km/h": ("시속 ",),
    "㎞/h": ("시속 ",),
    "km/s": ("초속 ",),
    "m/s": ("초속 ",),
    "㎧": ("초속 ",),
}
"""what is said before a number with such a unit"""

CURRENCIES = "$€£¥₩￦"
"""signs of units that may stand before the number, too"""


# Names of letters by which an abbreviation is told from other words: 아이 is a child, 오지 a wild
# place, 비디오 a video. Without one of them only these are known.
_CLEAR_NAMES = (
    "에이",
    "에프",
    "에이치",
    "제이",
    "케이",
    "엠",
    "에스",
    "브이",
    "더블유",
    "엑스",
    "와이",
)
_KNOWN = """
    AI AS BBC CCTV CD CEO CF CG DID DIY DJ DNA DVD FTA GDP GNP GPS GS ICT IOT IQ KT LG LH LP MC MT
    NG NGO OECD PC PD PPT PR PT QR RNA SBS SF SK SM UCC UX VR
"""
_KNOWN_ABBREVIATIONS = frozenset(_KNOWN.split())
_SPOKEN_NAMES = {
    **{readings[0]: letter for letter, readings in _LETTERS.items() if letter.isalpha()},
    "에이취": "H",
    "더블류": "W",
}
_NAME = re.compile("|".join(sorted(_SPOKEN_NAMES, key=len, reverse=True)))
_WHOLE_WORDS = {
    "엠피쓰리": "MP3",
    "쓰리디": "3D",
    "파이브지": "5G",
    "에이포": "A4",
    "티비": "TV",
}


def letters_of(names: str) -> str | None:
    """The abbreviation that names of letters spell: ``디엔에이`` -> ``DNA``.

    None if it may be another word.
    """
    if names in _WHOLE_WORDS:
        return _WHOLE_WORDS[names]
    spelled = _NAME.findall(names)
    if "".join(spelled) != names:
        return None
    letters = "".join(_SPOKEN_NAMES[name] for name in spelled)
    is_clear = len(letters) > 2 and any(name in _CLEAR_NAMES for name in spelled)
    return letters if is_clear or letters in _KNOWN_ABBREVIATIONS else None


LETTER_NAMES = rf"(?:{'|'.join(_WHOLE_WORDS)}|(?:{_NAME.pattern}){{2,5}})"
"""matches what `letters_of` may know"""


def letter_readings(word: str) -> list[Readings] | None:
    """The readings of a word in Latin letters, piece by piece; None if rules cannot read it.

    Words in capitals of up to five letters are spelt, as are words without a vowel (``pc``), and
    single letters. Some abbreviations and loanwords are known as words (``NATO``, ``internet``).
    """
    if word.lower() in _LOANWORDS:
        return [_LOANWORDS[word.lower()]]
    if "-" in word:  # K-pop
        parts = [letter_readings(part) for part in word.split("-")]
        return None if None in parts else [piece for part in parts for piece in part or ()]
    if not (word.isupper() or len(word) == 1) and _VOWEL.search(word):
        return None
    if word.upper() in _WORDS:
        return [_WORDS[word.upper()]]
    if len(word) > _LONGEST_ABBREVIATION or word in _ENGLISH_WORDS:
        return None
    return [_LETTERS[letter] for letter in word.upper()]
