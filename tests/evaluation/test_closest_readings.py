"""The closest readings, against trying every pair of readings."""

import itertools
import random

from rapidfuzz.distance import Levenshtein

from sorigeul.evaluation.closest_readings import (
    Pieces,
    closest_readings,
    too_long,
    usual_reading,
)

PIECES = [("매출이 ",), ("칠십 퍼센트", "칠십 프로", "칠공 프로"), (" 늘었다",)]


def random_pieces(generator: random.Random) -> list[list[str]]:
    return [
        [
            "".join(generator.choices("가나다 ", k=generator.randint(0, 4)))
            for _ in range(generator.choice([1, 1, 2, 3]))
        ]
        for _ in range(generator.randint(0, 4))
    ]


def all_readings(pieces: Pieces) -> list[str]:
    return list(map("".join, itertools.product(*pieces)))


def distance(first: str, second: str) -> int:
    return Levenshtein.distance(first.replace(" ", ""), second.replace(" ", ""))


def test_no_other_pair_of_readings_is_closer() -> None:
    generator = random.Random(0)
    for _ in range(500):
        pieces = random_pieces(generator), random_pieces(generator)
        chosen = closest_readings(*pieces)
        readings = list(map(all_readings, pieces))
        least = min(itertools.starmap(distance, itertools.product(*readings)))
        assert distance(*chosen) == least
        assert all(map(list.__contains__, readings, chosen))


def test_the_reading_that_was_heard_is_chosen() -> None:
    heard = "매출이 칠십프로 늘었다"
    assert closest_readings(PIECES, [(heard,)]) == ("매출이 칠십 프로 늘었다", heard)
    assert closest_readings([(heard,)], PIECES) == (heard, "매출이 칠십 프로 늘었다")


def test_the_usual_reading_is_chosen_if_others_are_no_closer() -> None:
    usual = usual_reading(PIECES)
    assert closest_readings(PIECES, PIECES) == (usual, usual)
    assert closest_readings(PIECES, [("",)])[0].replace(" ", "") in {
        "매출이칠십퍼센트늘었다",
        "매출이칠십프로늘었다",
        "매출이칠공프로늘었다",
    }


def test_a_piece_may_be_left_unspoken() -> None:
    number = [("", "일"), ("만 원",)]
    for heard in ("만 원", "일만 원"):
        assert closest_readings(number, [(heard,)]) == (heard, heard)
        assert closest_readings([(heard,)], number) == (heard, heard)


def test_many_numbers_take_no_longer_than_their_length() -> None:
    """As many pairs of readings as 3 ** 80 are not tried one by one."""
    pieces = [("하나 ", "일 ", "한 ")] * 40
    other = [("두 ", "이 ", "일 ")] * 40
    assert distance(*closest_readings(pieces, other)) == 0


def test_of_texts_too_long_to_weigh_all_readings_the_usual_ones_are_compared() -> None:
    """The tables of all readings of such a pair would take gigabytes, and the search hours."""
    numbers = [("하나 ", "일 ", "한 ")] * 3_000
    others = [("두 ", "이 ", "일 ")] * 3_000
    assert too_long(numbers, others)
    assert closest_readings(numbers, others) == ("하나 " * 3_000, "두 " * 3_000)
    assert not too_long(numbers[:300], others[:300])
