"""Rates against jiwer and by hand, what must not change them, and the aligned report."""

import itertools
import json
import unicodedata

import jiwer
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sorigeul.base.errors import UserError
from sorigeul.evaluation.scores import align_texts, score, worst_utterances

patient = settings(deadline=None)  # machines may be busy

LETTERS = "가나다라밥을a1"
words = st.text(LETTERS, min_size=1, max_size=4)
sentences = st.lists(words, min_size=1, max_size=6).map(" ".join)
heard = st.lists(words, max_size=7).map(" ".join)
pairs = st.lists(st.tuples(sentences, heard), min_size=1, max_size=5)


@st.composite
def spacings(draw: st.DrawFn, text: str) -> str:
    """``text`` with its spaces somewhere else."""
    return "".join(each + draw(st.sampled_from(["", " "])) for each in text.replace(" ", ""))


# Golden values


def test_one_utterance_by_hand() -> None:
    # One syllable heard as another, one left out; two of three words wrong.
    result = score(["나는 밥을 먹었다"], ["나는 밥를 먹었"], "spelling/1")
    assert result.cer == pytest.approx(100 * 2 / 9)
    assert result.cer_no_space == pytest.approx(100 * 2 / 7)
    assert result.crr == pytest.approx(100 * 5 / 7)
    assert result.wer == result.swer == pytest.approx(100 * 2 / 3)
    assert (result.utterances, result.reference_characters) == (1, 9)
    assert (result.reference_characters_no_space, result.reference_words) == (7, 3)


def test_the_corpus_counts_not_the_mean_of_its_utterances() -> None:
    result = score(["가", "나다라마바사아자차"], ["하", "나다라마바사아자차"], "none/1")
    assert result.cer == pytest.approx(10.0)
    assert result.wer == pytest.approx(50.0)


def test_recognition_rate_can_be_negative() -> None:
    assert score(["가나"], ["다라마바사"], "none/1").crr == pytest.approx(-150.0)


@pytest.mark.parametrize(
    ("said", "understood", "errors"),
    [
        ("밥을 먹었다", "밥 을먹 었다", 0),  # spaced otherwise, nothing else
        ("밥을 먹었다", "밥를먹었다", 1),  # spaced otherwise, one word wrong
        ("나는 밥을 먹었다", "나는먹었다", 1),  # a word left out
        ("나는 밥을", "나는 정말 밥을", 1),  # a word put in
        ("집 에서 밥", "방에서밥", 1),
        ("가 나 다", "", 3),
        ("가 나", "라마바 사", 2),
        ("아 가 나 다", "아아아아 가 나 다", 1),
        ("하하하하 가 나 다", "가나다 하하하하", 2),  # a word moved, though most characters agree
    ],
)
def test_spacing_tolerant_word_errors_by_hand(said: str, understood: str, errors: int) -> None:
    assert score([said], [understood], "none/1").swer == pytest.approx(
        100 * errors / len(said.split())
    )


def test_json_has_the_keys_of_the_contract() -> None:
    report = json.loads(json.dumps(score(["가 나"], ["가나"], "spelling/1").to_json()))
    rates = {"crr", "cer", "cer_no_space", "wer", "swer"}
    counts = {"utterances", "reference_characters"}
    further = {"reference_characters_no_space", "reference_words"}
    assert set(report) == rates | counts | further | {"normalizer"}
    assert report["normalizer"] == "spelling/1"
    assert (report["crr"], report["swer"], report["wer"]) == (100.0, 0.0, 100.0)


# Properties


@patient
@given(st.lists(sentences, min_size=1))
def test_a_text_scores_itself_perfect(texts: list[str]) -> None:
    result = score(texts, texts, "none/1")
    assert (result.crr, result.cer, result.cer_no_space) == (100.0, 0.0, 0.0)
    assert (result.wer, result.swer) == (0.0, 0.0)


@patient
@given(pairs)
def test_jiwer_agrees(texts: list[tuple[str, str]]) -> None:
    references, hypotheses = map(list, zip(*texts, strict=True))
    result = score(references, hypotheses, "none/1")
    assert result.cer == pytest.approx(100 * jiwer.cer(references, hypotheses))
    assert result.wer == pytest.approx(100 * jiwer.wer(references, hypotheses))
    without = [[text.replace(" ", "") for text in side] for side in (references, hypotheses)]
    assert result.cer_no_space == pytest.approx(100 * jiwer.cer(*without))
    assert result.crr == pytest.approx(100 - result.cer_no_space)


@settings(patient, max_examples=60)
@given(sentences, st.text("가나다", min_size=1, max_size=7))
def test_swer_is_the_lowest_wer_of_any_spacing(reference: str, characters: str) -> None:
    gaps = itertools.product(["", " "], repeat=len(characters) - 1)
    spaced = ["".join(itertools.chain(*zip(characters, [*each, ""], strict=True))) for each in gaps]
    lowest = min(jiwer.wer(reference, each) for each in spaced)
    assert score([reference], [characters], "none/1").swer == pytest.approx(100 * lowest)


@patient
@given(pairs)
def test_swer_is_not_above_wer(texts: list[tuple[str, str]]) -> None:
    result = score(*zip(*texts, strict=True), "none/1")
    assert 0 <= result.swer <= result.wer
    assert (result.swer == 0) == (result.cer_no_space == 0)


@patient
@given(sentences, st.data())
def test_spacing_changes_neither_swer_nor_characters(reference: str, data: st.DataObject) -> None:
    hypothesis = data.draw(heard)
    again = data.draw(spacings(hypothesis))
    first, second = (score([reference], [text], "none/1") for text in (hypothesis, again))
    assert (first.swer, first.cer_no_space) == (second.swer, second.cer_no_space)
    moved = score([reference], [data.draw(spacings(reference))], "none/1")
    assert (moved.swer, moved.cer_no_space) == (0.0, 0.0)


@patient
@given(pairs)
def test_decomposed_letters_score_like_composed(texts: list[tuple[str, str]]) -> None:
    references, hypotheses = zip(*texts, strict=True)
    nfd = [unicodedata.normalize("NFD", text) for text in hypotheses]
    expected = score(references, hypotheses, "none/1")
    assert score(references, nfd, "none/1") == expected
    assert (
        score([unicodedata.normalize("NFD", text) for text in references], hypotheses, "none/1")
        == expected
    )


def test_white_space_is_one_space() -> None:
    assert score(["가 나"], ["  가 \t\n나\u3000"], "none/1").cer == 0


# What is odd


def test_an_empty_reference_adds_errors_but_no_length() -> None:
    result = score(["가나", "", ""], ["가나", "다 라", ""], "none/1")
    assert (result.cer, result.cer_no_space) == (150.0, 100.0)
    assert (result.wer, result.swer) == (200.0, 100.0)
    assert result.utterances == 3


@pytest.mark.parametrize("references", [[], [""], ["  ", "\t"]])
def test_no_reference_character_is_the_users_mistake(references: list[str]) -> None:
    with pytest.raises(UserError, match="hold no character") as caught:
        score(references, ["가"] * len(references), "none/1")
    assert "\n" not in str(caught.value)


def test_lists_of_different_length_are_ours() -> None:
    with pytest.raises(ValueError, match="2 references, but 1 hypotheses"):
        score(["가", "나"], ["가"], "none/1")
    with pytest.raises(ValueError, match="2 references, but 1 hypotheses"):
        worst_utterances(["가", "나"], ["가"], 1)


# Reports


def test_worst_comes_first_and_equals_in_order() -> None:
    references = ["가나다라", "가나", "가나다라", "", "가나", ""]
    hypotheses = ["가나다라", "다라", "가나다", "소리", "마 바", ""]
    assert worst_utterances(references, hypotheses, 4) == [3, 1, 4, 2]
    assert worst_utterances(references, hypotheses, 99) == [3, 1, 4, 2, 0, 5]
    assert worst_utterances([], [], 3) == []


def test_report_of_one_utterance() -> None:
    assert align_texts("나는 밥을 먹었다", "나는 밥를 막 먹었").splitlines() == [
        "REF: 나는 밥을 ***먹었다",
        "HYP: 나는 밥를 막 먹었**",
        "            S  I I    D",
    ]


def test_narrow_and_wide_letters_stand_in_one_column() -> None:
    assert align_texts("a밥c", "b나").splitlines() == ["REF: a밥c", "HYP: b나*", "     SS D"]
    assert align_texts("밥c", "bc").splitlines() == ["REF: 밥c", "HYP: b c", "     S"]


def test_report_without_errors_has_no_marks() -> None:
    assert align_texts("가 나", "가  나") == "REF: 가 나\nHYP: 가 나"


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line)


@patient
@given(sentences, heard)
def test_both_lines_are_equally_wide(reference: str, hypothesis: str) -> None:
    assume(reference != hypothesis)
    said, understood, marks = align_texts(reference, hypothesis).splitlines()
    assert len(marks.replace(" ", "")) == round(
        score([reference], [hypothesis], "none/1").cer * len(reference) / 100
    )
    assert columns(marks) <= max(columns(said), columns(understood))
    if reference[-1] == hypothesis[-1:]:
        assert columns(said) == columns(understood)
