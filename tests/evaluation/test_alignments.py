"""References and hypotheses aligned in lines of text."""

import unicodedata

from hypothesis import assume, given
from hypothesis import strategies as st

from sorigeul.evaluation.alignments import align_texts
from sorigeul.evaluation.scores import score

words = st.text("가나다라밥을a1", min_size=1, max_size=4)
reference_texts = st.lists(words, min_size=1, max_size=6).map(" ".join)
hypothesis_texts = st.lists(words, max_size=7).map(" ".join)


def test_errors_are_marked_below_the_aligned_texts() -> None:
    assert align_texts("나는 밥을 먹었다", "나는 밥를 막 먹었").splitlines() == [
        "REF: 나는 밥을 ***먹었다",
        "HYP: 나는 밥를 막 먹었**",
        "            S  I I    D",
    ]


def test_narrow_and_wide_characters_are_aligned() -> None:
    assert align_texts("a밥c", "b나").splitlines() == ["REF: a밥c", "HYP: b나*", "     SS D"]
    assert align_texts("밥c", "bc").splitlines() == ["REF: 밥c", "HYP: b c", "     S"]


def test_equal_texts_have_no_marks() -> None:
    assert align_texts("가 나", "가  나") == "REF: 가 나\nHYP: 가 나"


def columns(line: str) -> int:
    """Width of a line in a terminal."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


@given(reference_texts, hypothesis_texts)
def test_both_lines_are_equally_wide(reference: str, hypothesis: str) -> None:
    assume(reference != hypothesis)
    reference_line, hypothesis_line, marks = align_texts(reference, hypothesis).splitlines()
    assert len(marks.replace(" ", "")) == round(
        score([reference], [hypothesis], "none/1").cer * len(reference) / 100
    )
    assert columns(marks) <= max(columns(reference_line), columns(hypothesis_line))
    if reference[-1] == hypothesis[-1:]:
        assert columns(reference_line) == columns(hypothesis_line)
