"""Spoken text as it is written: hand-checked pairs, what stays, and generated round trips."""

import random
import unicodedata

import pytest
from helpers.number_cases import CASES
from helpers.texts import ANY_TEXT
from hypothesis import given

from sorigeul.text.counters import COUNTERS
from sorigeul.text.numerals import sino
from sorigeul.text.spoken_form import spoken
from sorigeul.text.written_form import replacements, written, written_words


def test_the_table_of_hand_checked_pairs_is_written_as_it_stands() -> None:
    wrong = [
        (case.spoken, written(case.spoken), case.written)
        for case in CASES
        if case.way != "spoken" and written(case.spoken) != case.written
    ]
    assert wrong == []


def test_most_pairs_of_the_table_are_inverse() -> None:
    assert sum(case.way == "both" for case in CASES) >= 200


@pytest.mark.parametrize(
    ("said", "text"),
    [
        # A number word before something that is counted otherwise is another word.
        ("이 사람", "이 사람"),
        ("이 층", "2층"),
        ("이 주", "이 주"),
        ("삼 주", "3주"),
        ("사 주", "사 주"),
        ("오 명", "오 명"),
        ("다섯 명", "5명"),
        ("일 점", "1점"),
        ("만 원", "1만 원"),
        ("만 해", "만 해"),
        # After one that decides it, any number word is one.
        ("이 분", "이 분"),
        ("세 시 이 분", "3시 2분"),
        ("3시 이 분", "3시 2분"),
        ("이 일", "이 일"),
        ("유월 이 일", "6월 2일"),
        ("이 반", "이 반"),
        ("삼 학년 이 반", "3학년 2반"),
        # What follows decides, too.
        ("삼 년이나", "3년이나"),
        ("삼 년생들의", "3년생들의"),
        ("삼 점수", "삼 점수"),
        ("이십일은", "이십일은"),
        ("이십일 동안", "20일 동안"),
        ("팔십이는", "82는"),
        ("오천이백이라는", "5,200이라는"),
        ("만 이십 세", "만 20세"),
        ("만 이천 원", "12,000원"),
        ("몇 십 만 명", "몇 십 만 명"),
        # Lines are not joined.
        ("백\n사십 명", "백\n40명"),
        ("세 시\n이 분", "3시\n이 분"),
        # In a word there are no numbers.
        ("사람이 사백", "사람이 400"),
        ("오이백화점", "오이백화점"),
    ],
)
def test_what_stands_around_decides(said: str, text: str) -> None:
    assert written(said) == text


@given(ANY_TEXT)
def test_any_unicode_is_written_once_and_stays_composed(text: str) -> None:
    result = written(text)
    assert unicodedata.is_normalized("NFC", result)
    assert written(result) == result


@given(ANY_TEXT)
def test_each_spoken_word_belongs_to_one_written_word(text: str) -> None:
    words = written_words(text)
    covered = [place for _, first, last in words for place in range(first, last + 1)]
    assert covered == list(range(len(text.split())))
    joined = unicodedata.normalize("NFC", " ".join(word for word, _, _ in words))
    assert joined == " ".join(written(text).split())


def test_words_say_what_they_stand_for() -> None:
    assert written_words("  약 칠십 퍼센트가 일억 이천만 원 ") == [
        ("약", 0, 0),
        ("70%가", 1, 2),
        ("1억", 3, 3),
        ("2,000만", 4, 4),
        ("원", 5, 5),
    ]
    assert written_words("") == []


@given(ANY_TEXT)
def test_replacements_follow_each_other_and_have_no_spaces(text: str) -> None:
    end = 0
    for replacement in replacements(text):
        assert end <= replacement.start < replacement.end <= len(text)
        assert replacement.text
        assert " " not in replacement.text
        end = replacement.end


# Generated numbers

# What `numbers` may leave in words, and why, is in docs/guide/numbers.md: a single number word
# before these, and hours that no clock has.
_LARGEST = {"월": 12, "시": 24}


def numbers(generator: random.Random, counter: str, count: int) -> list[int]:
    """Random numbers of all lengths that a counter may have, at least 11."""
    if counter in _LARGEST:
        return [generator.randint(11, _LARGEST[counter]) for _ in range(count)]
    lengths = [10 ** generator.choice((2, 2, 3, 4, 5, 8)) for _ in range(count)]
    return [generator.randint(11, length) for length in lengths]


def check_round_trips(count: int) -> None:
    """`count` numbers with each counter: spoken, written, and spoken again."""
    generator = random.Random(0)
    kept = total = 0
    for counter in COUNTERS:
        for number in numbers(generator, counter, count):
            said = spoken(f"{number}{counter}")
            text = written(said)
            total += 1
            kept += text == said
            if counter != "프로":  # whose sign is read 퍼센트
                assert spoken(text).replace(" ", "") == said.replace(" ", ""), (said, text)
    assert kept < 0.01 * total


def test_generated_numbers_come_back_with_every_counter() -> None:
    check_round_trips(12)


@pytest.mark.prove
def test_100_000_generated_numbers_come_back_with_every_counter() -> None:
    check_round_trips(-(-100_000 // len(COUNTERS)))


def test_amounts_are_written_as_one_would() -> None:
    generator = random.Random(1)
    for _ in range(2_000):
        amount = generator.randint(1, 10 ** generator.randint(1, 12))
        if amount == 2 or 10_000 < amount < 10_010:  # 이 원, 만 이 원
            continue
        text = written(f"{sino(amount)} 원")
        if amount % 10_000:
            assert text == f"{amount:,}원"
        else:
            assert int(_in_digits(text)) == amount


def _in_digits(text: str) -> str:
    """1억 2,000만 원 -> 120000000."""
    scales = {"조": 10**12, "억": 10**8, "만": 10**4}
    groups = text.removesuffix(" 원").replace(",", "").split()
    return str(sum(int(group[:-1]) * scales[group[-1]] for group in groups))
