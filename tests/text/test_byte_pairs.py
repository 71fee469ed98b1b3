"""Byte-pair encoding: against the algorithm of the paper, and words written again in its units."""

import re
from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sorigeul.text.byte_pairs import learn_units, split_at, split_into_units, split_words

untimed = settings(deadline=None)

TEXTS = [
    "나는 학교에 가고 너는 집에 가고 그는 학교에서 온다",
    "학교에 가는 나는 학교에서 그를 보고 그는 집에서 나를 본다",
    "가고 가고 또 가고 하하하하 하하하 하하",
    "너는 누구고 나는 누구인가 하고 학교에서 묻고 또 묻는다",
]
WORDS = Counter(word for text in TEXTS for word in split_words(text))

words_of_few_letters = st.dictionaries(
    st.text("가나다", min_size=1, max_size=9), st.integers(1, 4), min_size=1, max_size=12
)


def merges_of_the_paper(words: dict[str, int], most: int) -> tuple[list[str], dict[str, list[str]]]:
    """Sennrich et al. 2016, Algorithm 1: all pairs are counted anew after each merge.

    Returns what the merges make, and the words as they end up. Of equally frequent pairs the one
    that spells what is first is merged; no pair that occurs once.
    """
    spelled = {" ".join(word.replace(" ", "_")): count for word, count in words.items()}
    made: list[str] = []
    for _ in range(most):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in spelled.items():
            symbols = word.split()
            for pair in pairwise(symbols):
                pairs[pair] += count
        frequent = {pair: count for pair, count in pairs.items() if count > 1}
        if not frequent:
            break
        best = min(frequent, key=lambda pair: (-frequent[pair], "".join(pair).replace("_", " ")))
        bigram = re.compile(rf"(?<!\S){re.escape(' '.join(best))}(?!\S)")
        spelled = {bigram.sub("".join(best), word): count for word, count in spelled.items()}
        made.append("".join(best).replace("_", " "))
    ends = {word.replace(" ", ""): word.split() for word in spelled}
    return made, {
        word.replace("_", " "): [symbol.replace("_", " ") for symbol in symbols]
        for word, symbols in ends.items()
    }


def test_the_merges_of_a_text_are_those_of_the_paper() -> None:
    made, ends = merges_of_the_paper(WORDS, 40)
    assert len(made) == 20
    assert made[0] == " 가"
    assert learn_units(WORDS, 40, 2) == made
    ranks = {unit: rank for rank, unit in enumerate(made)}
    for word, symbols in ends.items():
        assert split_into_units(word, ranks) == symbols


@untimed
@given(words=words_of_few_letters, most=st.integers(1, 30))
def test_the_merges_are_those_of_the_paper_where_letters_repeat(
    words: dict[str, int], most: int
) -> None:
    made, ends = merges_of_the_paper(words, most)
    units = learn_units(words, most, 2)
    assert units == made
    assert len(set(units)) == len(units)
    ranks = {unit: rank for rank, unit in enumerate(units)}
    for word, symbols in ends.items():
        assert split_into_units(word, ranks) == symbols


@untimed
@given(words=words_of_few_letters, most=st.integers(0, 30))
def test_fewer_units_are_the_first_of_more_in_any_order_of_the_words(
    words: dict[str, int], most: int
) -> None:
    backwards = dict(reversed(words.items()))
    assert learn_units(backwards, most, 2) == learn_units(words, 30, 2)[:most]


def test_it_ends_where_no_pair_is_frequent_enough() -> None:
    words = {"가나": 3, "다라": 2, "마바": 1}
    assert learn_units(words, 9, 1) == ["가나", "다라", "마바"]
    assert learn_units(words, 9, 2) == ["가나", "다라"]
    assert learn_units(words, 1, 2) == ["가나"]
    assert learn_units(words, 9, 2, excluded={"가나"}) == ["다라"]
    assert learn_units({}, 9, 2) == []


@untimed
@given(text=st.text(st.sampled_from("가나 \t\u3000\n.")))
def test_words_have_the_space_before_them_and_together_they_are_the_text(text: str) -> None:
    words = split_words(text)
    assert "".join(words) == (f" {text}" if text else "")
    for word in words:
        assert not any(map(str.isspace, word[1:]))
        assert len(word) == 1 or not word[1].isspace()


def test_nothing_is_joined_over_a_character_that_is_not_known() -> None:
    assert split_words("가나 다") == [" 가나", " 다"]
    parts = split_at({" 가_나": 2, "나": 1, "_": 5}, set(" 가나"))
    assert parts == {" 가": 2, "나": 3}
