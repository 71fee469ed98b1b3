"""Written text as it is spoken: the standard readings, and the others that count as equal."""

import re
import unicodedata
from itertools import pairwise, product

import pytest
from helpers.number_cases import CASES
from helpers.texts import ANY_TEXT
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.text.counters import counter_at
from sorigeul.text.numerals import LARGEST, sino
from sorigeul.text.spoken_form import alternatives, spoken


def all_readings(text: str) -> set[str]:
    """Every reading of a short text, without spaces."""
    return {"".join(choice).replace(" ", "") for choice in product(*alternatives(text))}


@pytest.mark.parametrize(
    ("written", "reading"),
    [
        # numbers and their scales
        ("0", "영"),
        ("007", "공공칠"),
        ("430", "사백삼십"),
        ("12,345.67", "만 이천삼백사십오 점 육 칠"),
        ("-5", "마이너스 오"),
        ("1만 명", "만 명"),
        ("1억 2천만 원", "일억 이천만 원"),
        ("3만5천원", "삼만 오천 원"),
        ("3천5백만원", "삼천오백만 원"),
        ("3만3천개밖에", "삼만 삼천 개밖에"),
        ("10만여 명", "십만여 명"),
        ("1.5배", "일 점 오 배"),
        ("1조각", "한 조각"),
        # counters
        ("430명쯤", "사백삼십 명쯤"),
        ("101명", "백한 명"),
        ("12명이", "열두 명이"),
        ("20살", "스무 살"),
        ("99개", "아흔아홉 개"),
        ("88 편이다", "팔십팔 편이다"),
        ("3 장", "세 장"),
        ("2시간", "두 시간"),
        ("48시간", "사십팔 시간"),
        ("3개월", "삼 개월"),
        ("5 개국", "오 개국"),
        ("2달러", "이 달러"),
        ("2달", "두 달"),
        ("20대 신사", "이십 대 신사"),
        ("자동차 3대가", "자동차 세 대가"),
        ("4대강", "사대강"),
        ("1번째, 2번째와 21번째", "첫 번째, 두 번째와 스물한 번째"),
        ("제2차", "제이 차"),
        ("제 3장", "제 삼 장"),
        ("1등", "일 등"),
        ("총3명", "총 세 명"),
        # dates and times
        ("2018년 10월 6일", "이천십팔 년 시월 육 일"),
        ("2018년10월6일", "이천십팔 년 시월 육 일"),
        ("2018.10.06", "이천십팔 년 시월 육 일"),
        ("2018-06-25에", "이천십팔 년 유월 이십오 일에"),
        ("6월과 12월", "유월과 십이월"),
        ("3시 30분", "세 시 삼십 분"),
        ("14시 05분", "십사 시 오 분"),
        ("09:30", "아홉 시 삼십 분"),
        ("3:00", "세 시"),
        ("6·25 전쟁과 3.1운동", "육이오 전쟁과 삼일운동"),
        ("12·12", "십이 십이"),
        # ranges, ratios, fractions, telephone numbers
        ("2~3개", "두세 개"),
        ("2-3개", "두세 개"),
        ("5~6년", "오륙 년"),
        ("20~30개", "스물에서 서른 개"),
        ("20~30분", "이십에서 삼십 분"),
        ("16 ~ 20만원", "십육에서 이십만 원"),
        ("3시~5시", "세 시에서 다섯 시"),
        ("오전 7시-9시", "오전 일곱 시에서 아홉 시"),
        ("3:2", "삼 대 이"),
        ("1/3", "삼 분의 일"),
        ("3분의 1", "삼 분의 일"),
        ("010-1234-5678", "공일공 일이삼사 오육칠팔"),
        ("119에", "일일구에"),
        ("1.2.3", "일 점 이 점 삼"),
        # units and signs
        ("70%", "칠십 퍼센트"),
        ("70 %가", "칠십 퍼센트가"),
        ("5kg", "오 킬로그램"),
        ("13000km를", "만 삼천 킬로미터를"),
        ("15cm, 1㎡, 시속 100km/h", "십오 센티미터, 일 제곱미터, 시속 백 킬로미터"),
        ("-5℃", "마이너스 오 도"),
        ("$5와 ₩5,000", "오 달러와 오천 원"),
        ("$3만", "삼만 달러"),
        ("1920x1080", "천구백이십 곱하기 천팔십"),
        ("2０명", "스무 명"),
        # Latin letters
        ("KBS가", "케이비에스가"),
        ("R&D", "알앤디"),
        ("A4", "에이 사"),
        ("MP3", "엠피쓰리"),
        ("KF-16", "케이에프 십육"),
        ("pc방", "피씨방"),
        ("TV와 TED", "티비와 테드"),
        ("tv", "티비"),
        ("A/S", "에이에스"),
        ("3D", "쓰리디"),
        ("deep learning", "deep learning"),
        ("HELLOWORLD", "HELLOWORLD"),
    ],
)
def test_the_standard_reading(written: str, reading: str) -> None:
    assert spoken(written) == reading


def test_the_table_of_hand_checked_pairs_is_read_as_it_stands() -> None:
    assert len(CASES) >= 300
    assert {case.way for case in CASES} == {"both", "spoken", "written"}
    assert len(set(CASES)) == len(CASES)
    wrong = [
        (case.written, spoken(case.written), case.spoken)
        for case in CASES
        if case.way != "written" and spoken(case.written) != case.spoken
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("written", "readings"),
    [
        ("430명", "사백삼십 명, 사백서른 명, 사삼공 명"),
        ("20살", "스무 살, 이십 살"),
        ("3장", "세 장, 석 장, 삼 장"),
        ("2018년", "이천십팔 년, 이공일팔 년, 이영일팔 년"),
        ("010-123-4567", "공일공 일이삼 사오육칠, 영일영 일이삼 사오육칠"),
        ("70%", "칠십 퍼센트, 칠십 프로"),
        ("2~3개", "두세 개, 이삼 개, 둘에서 세 개"),
        ("20~30명", "스물에서 서른 명, 이십에서 삼십 명, 이삼십 명"),
        ("3:30", "세 시 삼십 분, 세 시 반"),
        ("A4", "에이 사, 에이 포"),
        ("PC", "피씨, 피시"),
        ("1만", "만, 일만"),
        ("2", "이, 둘, 두"),
        ("5kg", "오 킬로그램, 오 킬로, 오 키로, 다섯 킬로"),
        ("6·25", "육이오"),
    ],
)
def test_the_other_readings_count(written: str, readings: str) -> None:
    assert {reading.replace(" ", "") for reading in readings.split(", ")} <= all_readings(written)


@pytest.mark.parametrize(
    "pattern", ["{}", "{} 월", "-{}", "1.{}", "{}:{}", "{}/{}", "1.2.{}", "{}원"]
)
def test_a_number_of_any_length_is_read_digit_by_digit(pattern: str) -> None:
    reading = spoken(pattern.replace("{}", "7" * 5000))
    assert "칠" * 5000 in reading.replace(" ", "")
    assert not re.search("[0-9]", reading)
    assert spoken("9" * 20) == sino(LARGEST)
    assert spoken("1" + "0" * 20) == "일" + "공" * 20


def test_only_expressions_have_several_readings() -> None:
    assert alternatives("그는 20살 때 왔다") == [
        ("그는 ",),
        ("스무", "이십"),
        (" 살 때 왔다",),
    ]
    assert alternatives("가나다") == [("가나다",)]
    assert alternatives("") == [("",)]


WRITTEN = st.text(st.sampled_from("0123456789.,:~-/%·+&$ 가나명시월일년대만천제번째kmgABCabc\n"))


@given(WRITTEN)
def test_any_text_is_read_without_digits_or_capitals_left(text: str) -> None:
    reading = spoken(text)
    assert not re.search(r"[0-9%]", reading)
    assert unicodedata.is_normalized("NFC", reading)
    # Only words that rules cannot read stay, such as X-ray.
    for word in re.findall("[A-Za-z]+(?:-[A-Za-z]+)*", reading):
        assert word in text
        assert len(word) > 1
    assert reading == "".join(readings[0] for readings in alternatives(text))


@given(WRITTEN)
def test_a_reading_is_not_read_again(text: str) -> None:
    assert spoken(spoken(text)) == spoken(text)


@given(ANY_TEXT)
def test_any_unicode_is_read_once_and_stays_composed(text: str) -> None:
    reading = spoken(text)
    assert unicodedata.is_normalized("NFC", reading)
    assert spoken(reading) == reading


@given(WRITTEN)
def test_the_readings_of_a_piece_are_distinct_and_neighbours_differ_in_kind(text: str) -> None:
    pieces = alternatives(text)
    for readings in pieces:
        assert len(set(readings)) == len(readings) > 0
    assert not any(len(a) == len(b) == 1 for a, b in pairwise(pieces))


@given(st.text(st.characters(exclude_categories=["Nd", "Cs"], exclude_characters="%℃％")))
def test_text_without_digits_signs_and_latin_letters_stays(text: str) -> None:
    plain = re.sub(r"[A-Za-z\uff01-\uff5e]", "", text)
    assert spoken(plain) == plain


def test_what_a_number_names_is_no_count() -> None:
    found = counter_at("3번 출구", 1)
    assert found is not None
    assert (found.word, found.native_up_to) == ("번", 0)
    assert spoken("3번 쉬고 3번 출구로") == "세 번 쉬고 삼 번 출구로"


def test_the_longest_counter_counts() -> None:
    found = counter_at("3개월", 1)
    assert found is not None
    assert (found.word, found.native_up_to) == ("개월", 0)
    assert counter_at("3개인", 1) is None  # begins like 개, and is none
    assert counter_at("3 명령", 1) is None
    apart = counter_at("3 명이", 1)
    assert apart is not None
    assert apart.word == "명"
