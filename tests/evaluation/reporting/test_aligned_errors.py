"""What was recognised as what agrees with the scores and with plain counting."""

from hypothesis import given
from hypothesis import strategies as st

from sorigeul.evaluation.policies import STRICT
from sorigeul.evaluation.reporting.aligned_errors import (
    Confusions,
    SyllableConfusion,
    aligned_runs,
    wrong_words,
)
from sorigeul.evaluation.scores import ERROR_RATES
from sorigeul.text import jamo

TEXTS = st.lists(
    st.sampled_from(["가", "각", "나", "난", "다", "꿔", " ", "a", "7"]), max_size=12
).map(lambda units: " ".join("".join(units).split()))


@given(TEXTS, TEXTS)
def test_runs_join_to_both_texts(reference: str, hypothesis: str) -> None:
    for count_spaces in (True, False):
        runs = aligned_runs(reference, hypothesis, count_spaces)
        assert "".join(said for _, said, _ in runs) == reference
        assert "".join(heard for _, _, heard in runs) == hypothesis
        for tag, said, heard in runs:
            if tag == "replace":
                assert len(said) == len(heard)
            elif tag == "equal" and count_spaces:
                assert said == heard
            elif tag == "equal":
                assert said.strip() == heard.strip()


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_confusions_add_up_to_the_edits_and_letter_errors_of_the_scores(
    pairs: list[tuple[str, str]],
) -> None:
    confusions = Confusions()
    for pair in pairs:
        confusions.add(*pair)
    counts = [STRICT.count(*pair) for pair in pairs]
    listed = confusions.most_frequent(1000)
    edits = sum(count.edits.sum() for count in counts)
    assert sum(one.count for one in listed) == edits
    assert [one.count for one in listed] == sorted((one.count for one in listed), reverse=True)
    assert all(one.said != one.heard for one in listed)
    for position in jamo.LETTERS:
        column = ERROR_RATES.index(f"jer_{position}")
        letters = confusions.letters(position)
        right = sum(row[place] for place, row in enumerate(letters))
        assert sum(map(sum, letters)) == sum(count.lengths[0, column] for count in counts)
        assert sum(map(sum, letters)) - right == sum(count.errors[0, column] for count in counts)


def test_a_confusion_says_how_often_its_character_was_said() -> None:
    confusions = Confusions()
    confusions.add("가나 가나 가", "가나 다나 가")
    confusions.add("나", "")
    confusions.add("", "라")
    assert confusions.most_frequent(2) == [
        SyllableConfusion("", "라", 1, 0),
        SyllableConfusion("가", "다", 1, 3),
    ]
    assert confusions.most_frequent(9)[2] == SyllableConfusion("나", "", 1, 3)


def test_wrong_words_are_counted_with_what_was_recognised() -> None:
    pairs = [
        ("나는 집에 간다", "나는 집에 간다"),
        ("나는 집에 간다", "너는 집에"),
        ("나는 간다", "너는 간다"),
        ("나는", "나"),
    ]
    words = wrong_words([(said.split(), heard.split()) for said, heard in pairs], 5)
    assert [(word.word, word.wrong, word.count) for word in words] == [
        ("나는", 3, 4),
        ("간다", 1, 3),
    ]
    assert words[0].heard == [("너는", 2), ("나", 1)]
    assert words[1].heard == [("", 1)]
    assert len(wrong_words([(["가", "나", "다"], [])], 2)) == 2
