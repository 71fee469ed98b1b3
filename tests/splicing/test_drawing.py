"""New utterances as they are drawn, of utterances that are made up."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.splicing.drawing import Placed, Splice, draw_splices


def utterance(number: int, is_sure: Sequence[bool], seconds: float = 1.0) -> Placed:
    """One of words of `seconds` each, which are called by its number and theirs."""
    words = [f"{number}/{place}" for place in range(len(is_sure))]
    edges = [seconds * place for place in range(len(is_sure) + 1)]
    return Placed(number, words, edges, is_sure)


def draw(
    utterances: Sequence[Placed], copies: float = 1.0, longest: float = 100.0, seed: int = 0
) -> list[Splice]:
    return list(draw_splices({"화자": utterances}, copies, longest, seed))


def words_of(splices: Sequence[Splice]) -> Counter[str]:
    return Counter(word for splice in splices for word in splice.text.split())


@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=7), max_size=30),
    st.floats(0.1, 3.0),
    st.floats(2.0, 12.0),
    st.integers(0, 5),
)
def test_splices_are_of_sure_words_in_their_order_and_no_longer_than_asked_for(
    sure: list[list[bool]], copies: float, longest: float, seed: int
) -> None:
    utterances = [utterance(number, words) for number, words in enumerate(sure)]
    splices = draw(utterances, copies, longest, seed)
    assert splices == draw(utterances, copies, longest, seed)
    for splice in splices:
        assert 2 <= len(splice.pieces) <= 3
        assert len({piece.number for piece in splice.pieces}) == len(splice.pieces)
        assert sum(piece.end - piece.start for piece in splice.pieces) <= longest
        for piece in splice.pieces:
            first, end = round(piece.start), round(piece.end)
            own = utterances[piece.number]
            assert piece.text.split() == list(own.words[first:end])
            assert all(own.is_sure[first:end])
    assert all(count <= -(-copies // 1) for count in words_of(splices).values())


def test_each_word_is_used_once_in_a_copy_but_for_those_that_are_left_alone() -> None:
    utterances = [utterance(number, [True] * (2 + number % 5)) for number in range(200)]
    total = sum(len(one.words) for one in utterances)
    used = words_of(draw(utterances))
    assert set(used.values()) == {1}
    assert total - 12 <= used.total() <= total
    twice = words_of(draw(utterances, copies=2.0))
    assert set(twice.values()) <= {1, 2}
    assert 2 * total - 24 <= twice.total() <= 2 * total
    half = words_of(draw(utterances, copies=0.5)).total()
    assert half == pytest.approx(total / 2, rel=0.15)
    assert draw(utterances, copies=2.0)[: len(draw(utterances))] == draw(utterances)


def test_copies_are_cut_and_joined_in_other_ways() -> None:
    utterances = [utterance(number, [True] * 6) for number in range(50)]
    splices = draw(utterances, copies=2.0)
    assert len({tuple(splice.pieces) for splice in splices}) == len(splices)
    places = Counter(
        (piece.number, piece.start) for splice in splices for piece in splice.pieces if piece.start
    )
    assert len(places) > 70  # of a hundred cuts, of which those of an utterance may be alike
    assert draw(utterances, seed=1) != draw(utterances, seed=0)
    other = list(draw_splices({"다른 화자": utterances}, 1.0, 100.0, 0))
    assert [one.pieces for one in other] != [one.pieces for one in draw(utterances)]


def test_a_part_of_a_copy_is_of_all_speakers_alike() -> None:
    utterances = [utterance(number, [True] * 6) for number in range(120)]
    speakers = {f"화자 {n}": utterances[3 * n : 3 * n + 3] for n in range(40)}
    drawn = list(draw_splices(speakers, 0.25, 100.0, 0))
    whole = list(draw_splices(speakers, 1.0, 100.0, 0))
    assert len(drawn) == round(len(whole) / 4)
    assert len({splice.speaker for splice in drawn}) > 15
    assert [splice for splice in whole if splice in drawn] == drawn
    for splice in whole:
        assert all(speakers[splice.speaker][0].number <= one.number for one in splice.pieces)
    (one,) = draw_splices(speakers, 0.001, 100.0, 0)
    assert one in whole


def test_words_that_are_not_sure_part_what_is_around_them() -> None:
    doubtful = utterance(0, [True, True, False, True])
    splices = draw([doubtful, utterance(1, [True] * 4)], copies=40.0)
    pieces = {piece.text for splice in splices for piece in splice.pieces if piece.number == 0}
    assert pieces <= {"0/0", "0/1", "0/0 0/1", "0/3"}
    assert {"0/0 0/1", "0/3"} <= pieces


def test_one_utterance_is_not_joined_with_itself_nor_one_that_is_too_long() -> None:
    assert draw([utterance(0, [True] * 9)]) == []
    assert draw([]) == []
    assert draw([utterance(0, [False]), utterance(1, [True])]) == []
    long = [utterance(number, [True], seconds=9.0) for number in range(9)]
    short = [utterance(number, [True], seconds=1.0) for number in range(9, 12)]
    splices = draw([*long, *short], longest=10.0)
    assert 1 <= len(splices) <= 3
    assert all(any(piece.number >= 9 for piece in splice.pieces) for splice in splices)
