"""Error rates against jiwer and by hand, what must not change them, and aligned texts."""

import itertools
import json
import unicodedata

import jiwer
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sorigeul.base.errors import UserError
from sorigeul.evaluation.scores import (
    align_texts,
    character_errors,
    score,
    worst_utterances,
)

no_deadline = settings(deadline=None)  # the machine may be busy

CHARACTERS = "가나다라밥을a1"
words = st.text(CHARACTERS, min_size=1, max_size=4)
reference_texts = st.lists(words, min_size=1, max_size=6).map(" ".join)
hypothesis_texts = st.lists(words, max_size=7).map(" ".join)
pairs = st.lists(st.tuples(reference_texts, hypothesis_texts), min_size=1, max_size=5)


@st.composite
def spacings(draw: st.DrawFn, text: str) -> str:
    """The text with its spaces in other positions."""
    characters = text.replace(" ", "")
    return "".join(character + draw(st.sampled_from(["", " "])) for character in characters)


# Values calculated by hand


def test_one_utterance_by_hand() -> None:
    # One syllable substituted, one deleted; two of three words wrong.
    result = score(["나는 밥을 먹었다"], ["나는 밥를 먹었"], "spelling/1")
    assert result.cer == pytest.approx(100 * 2 / 9)
    assert result.cer_no_space == pytest.approx(100 * 2 / 7)
    assert result.crr == pytest.approx(100 * 5 / 7)
    assert result.wer == result.swer == pytest.approx(100 * 2 / 3)
    assert (result.utterances, result.reference_characters) == (1, 9)
    assert (result.reference_characters_no_space, result.reference_words) == (7, 3)


def test_rates_are_of_the_whole_corpus_not_means_over_utterances() -> None:
    result = score(["가", "나다라마바사아자차"], ["하", "나다라마바사아자차"], "none/1")
    assert result.cer == pytest.approx(10.0)
    assert result.wer == pytest.approx(50.0)


def test_the_recognition_rate_can_be_negative() -> None:
    assert score(["가나"], ["다라마바사"], "none/1").crr == pytest.approx(-150.0)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [
        ("밥을 먹었다", "밥 을먹 었다", 0),  # only the spacing differs
        ("밥을 먹었다", "밥를먹었다", 1),  # the spacing differs, one word is wrong
        ("나는 밥을 먹었다", "나는먹었다", 1),  # a word deleted
        ("나는 밥을", "나는 정말 밥을", 1),  # a word inserted
        ("집 에서 밥", "방에서밥", 1),
        ("가 나 다", "", 3),
        ("가 나", "라마바 사", 2),
        ("아 가 나 다", "아아아아 가 나 다", 1),
        ("하하하하 가 나 다", "가나다 하하하하", 2),  # a word moved, though most characters agree
    ],
)
def test_spacing_tolerant_word_errors_by_hand(reference: str, hypothesis: str, errors: int) -> None:
    swer = score([reference], [hypothesis], "none/1").swer
    assert swer == pytest.approx(100 * errors / len(reference.split()))


def test_character_errors_without_spaces_by_hand() -> None:
    # One syllable substituted, one deleted; the second hypothesis differs in its spacing only.
    references = ["나는 밥을 먹었다", "가 나"]
    assert character_errors(references, ["나는 밥를 먹었", "가나"]) == (2, 9)
    assert character_errors([], []) == (0, 0)


def test_json_has_the_documented_keys() -> None:
    report = json.loads(json.dumps(score(["가 나"], ["가나"], "spelling/1").to_json()))
    rates = {"crr", "cer", "cer_no_space", "wer", "swer"}
    counts = {"utterances", "reference_characters"}
    other_counts = {"reference_characters_no_space", "reference_words"}
    assert set(report) == rates | counts | other_counts | {"normalizer"}
    assert report["normalizer"] == "spelling/1"
    assert (report["crr"], report["swer"], report["wer"]) == (100.0, 0.0, 100.0)


# Properties


@no_deadline
@given(st.lists(reference_texts, min_size=1))
def test_a_text_compared_with_itself_has_no_errors(texts: list[str]) -> None:
    result = score(texts, texts, "none/1")
    assert (result.crr, result.cer, result.cer_no_space) == (100.0, 0.0, 0.0)
    assert (result.wer, result.swer) == (0.0, 0.0)


@no_deadline
@given(pairs)
def test_rates_are_those_of_jiwer(corpus: list[tuple[str, str]]) -> None:
    references, hypotheses = map(list, zip(*corpus, strict=True))
    result = score(references, hypotheses, "none/1")
    assert result.cer == pytest.approx(100 * jiwer.cer(references, hypotheses))
    assert result.wer == pytest.approx(100 * jiwer.wer(references, hypotheses))
    no_space = [[text.replace(" ", "") for text in texts] for texts in (references, hypotheses)]
    assert result.cer_no_space == pytest.approx(100 * jiwer.cer(*no_space))
    assert result.crr == pytest.approx(100 - result.cer_no_space)


@settings(no_deadline, max_examples=60)
@given(reference_texts, st.text("가나다", min_size=1, max_size=7))
def test_swer_is_the_lowest_wer_of_any_spacing(reference: str, characters: str) -> None:
    first, *others = characters
    lowest = min(
        jiwer.wer(reference, first + "".join(map("".join, zip(spaces, others, strict=True))))
        for spaces in itertools.product(["", " "], repeat=len(others))
    )
    assert score([reference], [characters], "none/1").swer == pytest.approx(100 * lowest)


@no_deadline
@given(pairs)
def test_swer_is_not_above_wer(corpus: list[tuple[str, str]]) -> None:
    result = score(*zip(*corpus, strict=True), "none/1")
    assert 0 <= result.swer <= result.wer
    assert (result.swer == 0) == (result.cer_no_space == 0)


@no_deadline
@given(reference_texts, st.data())
def test_spacing_changes_neither_swer_nor_cer_without_spaces(
    reference: str, data: st.DataObject
) -> None:
    hypothesis = data.draw(hypothesis_texts)
    respaced = data.draw(spacings(hypothesis))
    first, second = (score([reference], [text], "none/1") for text in (hypothesis, respaced))
    assert (first.swer, first.cer_no_space) == (second.swer, second.cer_no_space)
    correct = score([reference], [data.draw(spacings(reference))], "none/1")
    assert (correct.swer, correct.cer_no_space) == (0.0, 0.0)


@no_deadline
@given(pairs)
def test_decomposed_hangul_has_the_same_score(corpus: list[tuple[str, str]]) -> None:
    composed = list(zip(*corpus, strict=True))
    decomposed = [[unicodedata.normalize("NFD", text) for text in texts] for texts in composed]
    expected = score(*composed, "none/1")
    assert score(composed[0], decomposed[1], "none/1") == expected
    assert score(decomposed[0], composed[1], "none/1") == expected


def test_any_white_space_counts_as_one_space() -> None:
    assert score(["가 나"], ["  가 \t\n나\u3000"], "none/1").cer == 0


# Empty references and wrong arguments


def test_an_empty_reference_adds_errors_but_no_length() -> None:
    result = score(["가나", "", ""], ["가나", "다 라", ""], "none/1")
    assert (result.cer, result.cer_no_space) == (150.0, 100.0)
    assert (result.wer, result.swer) == (200.0, 100.0)
    assert result.utterances == 3


@pytest.mark.parametrize("texts", [[], [""], ["  ", "\t"]])
def test_references_without_a_character_are_refused(texts: list[str]) -> None:
    with pytest.raises(UserError, match="hold no character") as error:
        score(texts, ["가"] * len(texts), "none/1")
    assert "\n" not in str(error.value)


def test_lists_of_different_length_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="2 references, but 1 hypotheses"):
        score(["가", "나"], ["가"], "none/1")
    with pytest.raises(ValueError, match="2 references, but 1 hypotheses"):
        worst_utterances(["가", "나"], ["가"], 1)


# Worst utterances and aligned texts


def test_the_worst_utterance_comes_first_and_equal_ones_stay_in_order() -> None:
    correct = ["가나다라", "가나", "가나다라", "", "가나", ""]
    recognised = ["가나다라", "다라", "가나다", "소리", "마 바", ""]
    assert worst_utterances(correct, recognised, 4) == [3, 1, 4, 2]
    assert worst_utterances(correct, recognised, 99) == [3, 1, 4, 2, 0, 5]
    assert worst_utterances([], [], 3) == []


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


@no_deadline
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
