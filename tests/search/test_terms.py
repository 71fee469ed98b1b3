"""Terms: bonuses while a term is written, taken back when it breaks off."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from sorigeul.base.errors import UserError
from sorigeul.search.terms import Terms
from sorigeul.text.vocabulary import SPECIALS, Vocabulary

VOCABULARY = Vocabulary((*"가나다라 ", *SPECIALS))


def total(terms: Terms, text: str) -> float:
    """What a whole text gains, its end included."""
    node, gained = np.array([0]), 0.0
    for token in [*VOCABULARY.encode(text), VOCABULARY.eos_id]:
        gained += float(terms.gains(node)[0, token])
        node = terms.next_nodes(node, np.array([token]))
    return gained


def test_every_occurrence_of_a_term_counts_and_nothing_else() -> None:
    terms = Terms.from_terms([("가나", 1.0), ("다라다", 2.0)], VOCABULARY)
    for length in range(7):
        for letters in itertools.product("가나다라", repeat=length):
            text = "".join(letters)
            if "다라다라다" in text:
                continue  # two that share a character: both count, `count` sees one
            assert total(terms, text) == pytest.approx(
                2 * text.count("가나") + 6 * text.count("다라다")
            )


def test_of_a_term_within_a_term_the_longer_counts_and_the_shorter_when_it_breaks_off() -> None:
    terms = Terms.from_terms([("가나다라", 1.0), ("나다", 1.0), ("가나", 1.0)], VOCABULARY)
    assert total(terms, "가나다라") == pytest.approx(4)
    assert total(terms, "가나 다") == pytest.approx(2)
    assert total(terms, "가나다 라") == pytest.approx(2)
    assert total(terms, "라나다") == pytest.approx(2)
    assert total(terms, "가다라") == pytest.approx(0)


def test_a_file_of_terms(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_text("가나\t3\n\n다 라\n학교\n", encoding="utf-8")
    terms = Terms.read(path, VOCABULARY)
    assert total(terms, "가나") == pytest.approx(6)
    assert total(terms, "다 라") == pytest.approx(3)
    assert terms.unknown == ("학교",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no terms"),
        ("학교\n", "cannot write any of the terms"),
        ("가나\tmuch\n", "weight 'much' is not a number"),
        ("가나\t-1\n", "weight '-1' is not a number"),
    ],
)
def test_a_useless_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "terms.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        Terms.read(path, VOCABULARY)
    with pytest.raises(UserError, match="no such file"):
        Terms.read(tmp_path / "none.txt", VOCABULARY)


def test_terms_are_found_however_units_divide_a_text() -> None:
    """Units that begin before a term, end after it, or hold two of them gain the same."""
    joined = ("가나", " 가", "나다", "라가나", "가나가나", " 가나다", "다라다")
    units = Vocabulary((*VOCABULARY.units[:-3], *joined, *SPECIALS), "bpe")
    weighted = [("가나", 1.0), ("다라다", 2.0), ("나 다라", 0.5)]
    terms, expected = (Terms.from_terms(weighted, one) for one in (units, VOCABULARY))
    assert terms.most_gain > expected.most_gain
    for spelling in itertools.product(range(len(units) - 3), repeat=3):
        text = "".join(units.units[token] for token in spelling)
        node, gained = np.array([0]), 0.0
        for token in [*spelling, units.eos_id]:
            gained += float(terms.gains(node)[0, token])
            node = terms.next_nodes(node, np.array([token]))
        assert gained == pytest.approx(total(expected, text))
