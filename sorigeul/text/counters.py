"""Korean counters: which are counted in native and which in Sino-Korean numbers.

Longest match first, so that 개월 (three months, 삼 개월) is not read as 개 (three pieces, 세 개).
"""

import re
from dataclasses import dataclass

# The largest number that is native before each counter.
_NATIVE_UP_TO = {
    99: """
    가닥 가마니 가지 갈래 갑 개 개비 걸음 겹 곳 군데 그루 그릇 꾸러미 끼 끼니 다발 다스 덩어리
    덩이 도막 돌 땀 마디 마리 명 모금 무더기 묶음 뭉치 바구니 바퀴 발짝 방울 번째 벌 병 봉지 사람
    사발 살 상자 송이 숟가락 숟갈 술 스푼 식구 쌍 알 자루 잔 장 접시 조각 줄 줄기 짝 차례 채 척 칸
    캔 컵 켤레 토막 톨 통 판 포기
""",
    # Most speakers count these in Sino-Korean from 20 on, the next ones from 10 on.
    19: """
    가구 가정 가족 건 게임 경기 곡 골 과목 군 권 그룹 글자 나라 단어 도시 문장 문제 박스 방법 배
    버전 번 분야 세트 자리 작품 종류 집 친구 팀 파일 편 학교 회사
""",
    9: "대 해",
    12: "달 시",
    24: "시간",
}
# Counters after Sino-Korean numbers; all others unknown to these tables are taken for such, too.
_SINO = """
    개교 개국 개년 개사 개소 개월 개점 개조 거래일 교시 구역 국 권역 그램 급 기 기가 기가바이트
    나노 나노미터 남 녀 년 년간 년대 년도 년생 노트 단 단계 단지 달러 데시벨 도 동 득점 등 등급
    라운드 루블 루피 리 리터 마일 메가 메가바이트 면 모작 문항 미터 밀리 밀리그램 밀리리터
    밀리미터 바이트 박 박자 반 배럴 배속 번가 번지 볼트 부 부작 분 분간 분기 비트 석 선 선발 세
    세기 세대 센트 센티 센티미터 승 시리즈 시즌 실점 안타 암페어 에이커 엔 연대 연승 연패 옥타브
    와트 원 월 위 위안 유로 이닝 인 인분 인치 일 일간 자 장에서 장조 절 점 정거장 조
    조항 종 주 주간 주기 주년 주일 주차 중대 지구 차 차로 차선 차원 차전 채널 초 초간 촌 층 칼로리
    쿼터 킬로 킬로그램 킬로미터 타 타석 톤 파운드 패 퍼센트 페이지 평 평형 포인트 프레임 프로 피트
    픽셀 학기 학년 학번 항 행 헤르츠 헥타르 호 호기 호봉 호선 홈런 회 회말 회차
"""
# Words that only begin like a counter. The number before them is Sino-Korean.
_NO_COUNTERS = """
    개념 개발 개인 개혁 건강 건물 건설 경기도 곡선 골대 곳간 군대 군인 권력 권리 기업 달나라 달성
    달인들 달인은 달인을 달인의 달인이 대강 대기업 대륙 대문 대부분 대비 대신 대악 대양 대왕 대요
    대원칙 대표 대학 대회 명단 명령 명함 배달 배당 배열 배우 배치 배터리 배후 번호 벌금 벌초 병사
    병원 부터 살림 살인 시내 시대 시민 시인들 시인은 시인을 시인의 시인이 시작 시장 시점 시차 알파
    일반 일상 자동 자연 잔액 잔치 장관 장군 장날 장대 장로 장소 장애 장인들 장인은 장인을 장인의
    장인이 장치 점수 조각가 조직 조차 주민 주택 줄임 집단 집들이 집중 차량 채용 척도 초등 칸막이
    통계 통로 통신 통치 통합 통화 판결 판단 판매 판정 편대 편성 편의 편집 편차 평균 평생 해결 해당
"""
# Before these the number is part of the word: 육인용, 삼인칭.
_SUFFIXES = "인극 인석 인승 인실 인용 인조 인칭"
# 대 is "great" before these, or a generation, no counter of vehicles: 사대 보험, 삼대 독자.
_GREAT = """
    강국 강대국 강력범죄 걸작 공적연금 과제 관문 광역시 교단 국경일 그룹 기관 기서 기업 뉴스 독자
    로펌 리그 명산 명작 명절 문명 미스터리 미인 범죄 보험 불가사의 비극 사건 사화 성인 성지 세습
    수칙 실명질환 쌀수출국 악법 악인 여신 열강 영양소 영화제 오페라 요소 욕구 원소 원칙 은행 음식
    의무 의혹 인생 일간지 자연경관 작곡가 재벌 재앙 쟁점 전략 정책 조건 종교 종단 죄악 주주 지옥
    질환 천사 천왕 축제 폭포 핵심 회계법인
"""

# What may follow a counter that is written apart from its number.
_PARTICLES = """
    가 가량 간 과 까지 나 남짓 내 는 당 도 동안 들 라 로 를 마다 만 미만 밖에 보다 부터 분의 뿐 씩
    안 에 였 와 으로 은 을 의 이 이고 이나 이다 이라 이면 이상 이하 인 입 전 정도 중 짜리 째 쯤
    하고 후
"""


# A number is a name then, and tells not how many there are: 삼 번 출구, 이 장 삼 절, 오 대 회장.
_NAMES_BY_NUMBER = re.compile(
    "번 (?:게이트|국도|문제|버스|선수|승강장|창구|출구|타자|트랙|후보)"
    r"|장 ?\d+ ?(?:절|조|항)"
    "|대 ?(?:감독|교황|국왕|국회|대통령|사장|의장|이사장|조상|째|총독|총리|총장|회장)"
)


@dataclass(frozen=True)
class Counter:
    """A word that follows a number."""

    word: str
    native_up_to: int
    """the largest number that is native before it; 0 for a Sino-Korean counter"""


def _table() -> dict[str, int | None]:
    table: dict[str, int | None] = dict.fromkeys(_NO_COUNTERS.split())
    table |= dict.fromkeys([*_SINO.split(), *_SUFFIXES.split()], 0)
    for limit, words in _NATIVE_UP_TO.items():
        table |= dict.fromkeys(words.split(), limit)
    return table


_TABLE = _table()
COUNTERS = {word: limit for word, limit in _TABLE.items() if limit is not None}
"""the largest native number before each counter; 0 for those that follow Sino-Korean numbers"""
NO_COUNTERS = frozenset(_NO_COUNTERS.split())
"""words that only begin like a counter"""
GREAT = f"대 ?(?:{'|'.join(_GREAT.split())})"
"""matches 대 before what is great, which is no counter either: 사대 보험"""
_ONE_WORD = re.compile(f"{GREAT}|{'|'.join(_SUFFIXES.split())}")
_WORD = "|".join(sorted(_TABLE, key=len, reverse=True))  # the longest that fits
_COUNTER = re.compile(rf"({_WORD})|\s({_WORD})(?=[^가-힣]|$|{'|'.join(_PARTICLES.split())})")


def counter_at(text: str, position: int) -> Counter | None:
    """The counter that begins at a position of a text, or after a space there, if there is one.

    After a space it must be a whole word, or have a particle. What is one word with its number is
    no counter: 육인용, 사대 보험.
    """
    match = _COUNTER.match(text, position)
    if match is None:
        return None
    word = match[1] or match[2]
    start = match.end() - len(word)
    native_up_to = 0 if _NAMES_BY_NUMBER.match(text, start) else _TABLE[word]
    if native_up_to is None or _ONE_WORD.match(text, start):
        return None
    return Counter(word, native_up_to)
