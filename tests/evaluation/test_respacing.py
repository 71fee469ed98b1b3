"""The best spacing of a text, against all spacings it can have."""

import itertools
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from sorigeul.evaluation.respacing import respace, respaced_errors

words = st.lists(st.text("가나다", min_size=1, max_size=3), max_size=5)
characters = st.text("가나다", max_size=7)


def all_spacings(text: str) -> list[list[str]]:
    if not text:
        return [[]]
    return [
        (text[0] + "".join(map("".join, zip(spaces, text[1:], strict=True)))).split()
        for spaces in itertools.product(["", " "], repeat=len(text) - 1)
    ]


@settings(max_examples=200)
@given(words, characters)
def test_no_other_spacing_has_fewer_word_errors(words: list[str], characters: str) -> None:
    lowest = min(Levenshtein.distance(words, spacing) for spacing in all_spacings(characters))
    assert respaced_errors(words, characters) == lowest
    spaced = respace(words, characters)
    assert "".join(spaced) == characters
    assert "" not in spaced
    assert Levenshtein.distance(words, spaced) == lowest


def test_the_spacing_is_that_of_the_reference_where_the_characters_agree() -> None:
    reference = ["나는", "밥을", "먹고", "잔다"]
    assert respace(reference, "나는밥을먹고잔다") == reference
    assert respace(reference, "나는밤을먹고잔다") == ["나는", "밤을", "먹고", "잔다"]


def test_long_texts_are_respaced_in_halves_and_as_well() -> None:
    random = Random(0)
    reference = ["".join(random.choices("가나다라마바사", k=4)) for _ in range(3_000)]
    heard = "".join(
        "".join(random.choices("가나다", k=3)) if random.random() < 0.1 else word
        for word in reference
    )
    spaced = respace(reference, heard)
    assert "".join(spaced) == heard
    assert Levenshtein.distance(reference, spaced) == respaced_errors(reference, heard)
