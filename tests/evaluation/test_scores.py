"""Error rates against jiwer and by hand, and what must not change them."""

import itertools
import json
import random
import unicodedata

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigeul.base.errors import UserError
from sorigeul.evaluation.scores import (
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
    rates |= {"jer", "jer_initial", "jer_medial", "jer_final"}
    counts = {"utterances", "reference_characters", "substitutions", "insertions", "deletions"}
    other_counts = {"reference_characters_no_space", "reference_words"}
    assert set(report) == rates | counts | other_counts | {"normalizer"}
    assert report["normalizer"] == "spelling/1"
    assert (report["crr"], report["swer"], report["wer"]) == (100.0, 0.0, 100.0)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors", "letters"),
    [
        ("각", "간", 1, 3),  # another final
        ("가", "간", 1, 2),  # a final too many
        ("가", "나", 1, 2),
        ("닭", "닥", 1, 3),  # a double final is one letter
        ("과", "가", 1, 2),  # and so is a diphthong
        ("먹어", "머거", 2, 5),  # the final ㄱ is gone, and an initial ㄱ stands for ㅇ
        ("A4 용지", "에이포 용지", 6, 7),
        ("ㅋㅋ", "ㅋ", 1, 2),
    ],
)
def test_letter_errors_by_hand(reference: str, hypothesis: str, errors: int, letters: int) -> None:
    assert score([reference], [hypothesis], "none/1").jer == pytest.approx(100 * errors / letters)


def test_initials_medials_and_finals_by_hand() -> None:
    # 강 -> 간 (final), 나 -> 너 (medial), 돌 -> 몰 (initial), 집 -> 입 (initial); 새 is deleted,
    # 물 inserted, and 1 -> 일 is no pair of syllables. 길 and 산 are right.
    result = score(["강나돌집길새산1"], ["간너몰입길산일"], "none/1")
    assert result.jer_initial == pytest.approx(100 * 2 / 6)
    assert result.jer_medial == pytest.approx(100 * 1 / 6)
    assert result.jer_final == pytest.approx(100 * 1 / 6)
    assert (result.substitutions, result.insertions, result.deletions) == (5, 0, 1)


def test_without_aligned_syllables_there_are_no_rates_of_positions() -> None:
    result = score(["a 1", "가"], ["b", ""], "none/1")
    assert result.jer_initial is result.jer_medial is result.jer_final is None


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


def random_text(generator: random.Random) -> str:
    """Words of syllables, digits and Latin letters, with stray white space; one in 20 is empty."""
    if generator.random() < 0.05:
        return generator.choice(["", " ", "\t"])
    words = [
        "".join(generator.choices("가나다라마각난닫랄맒한글뷁a1B2", k=generator.randint(1, 4)))
        for _ in range(generator.randint(1, 5))
    ]
    text = generator.choice(["", " "]) + generator.choice([" ", "  ", "\t"]).join(words)
    return unicodedata.normalize(generator.choice(["NFC", "NFD"]), text)


def random_change(text: str, generator: random.Random) -> str:
    """The text with some characters dropped, doubled or replaced."""
    changes = ["", "가", "각 ", "1"]
    return "".join(
        character if generator.random() > 0.2 else generator.choice([*changes, 2 * character])
        for character in unicodedata.normalize("NFC", text)
    )


def test_ten_thousand_pairs_have_exactly_the_errors_that_jiwer_counts() -> None:
    """Empty references, decomposed Hangul, double spaces, Latin letters and digits among them."""
    generator = random.Random(0)
    references = [random_text(generator) for _ in range(10_000)]
    hypotheses = [random_change(text, generator) for text in references]
    result = score(references, hypotheses, "none/1")

    clean = [
        [" ".join(unicodedata.normalize("NFC", text).split()) for text in texts]
        for texts in (references, hypotheses)
    ]
    assert sum(not text for text in clean[0]) > 300
    no_space = [[text.replace(" ", "") for text in texts] for texts in clean]
    letters = [["".join(map(jamo_of, text)) for text in texts] for texts in no_space]
    for rate, expected in {
        "cer": jiwer.process_characters(*clean),
        "cer_no_space": jiwer.process_characters(*no_space),
        "jer": jiwer.process_characters(*letters),
        "wer": jiwer.process_words(*clean),
    }.items():
        errors = expected.substitutions + expected.insertions + expected.deletions
        length = expected.hits + expected.substitutions + expected.deletions
        assert getattr(result, rate) == 100 * errors / length, rate
    expected = jiwer.process_characters(*no_space)
    assert result.substitutions == expected.substitutions
    assert result.insertions == expected.insertions
    assert result.deletions == expected.deletions
    assert result.crr == 100 - result.cer_no_space
    assert result.utterances == 10_000


def jamo_of(character: str) -> str:
    """A syllable decomposed; of the characters used here, nothing else decomposes."""
    return unicodedata.normalize("NFD", character)


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


# Worst utterances


def test_the_worst_utterance_comes_first_and_equal_ones_stay_in_order() -> None:
    correct = ["가나다라", "가나", "가나다라", "", "가나", ""]
    recognised = ["가나다라", "다라", "가나다", "소리", "마 바", ""]
    assert worst_utterances(correct, recognised, 4) == [3, 1, 4, 2]
    assert worst_utterances(correct, recognised, 99) == [3, 1, 4, 2, 0, 5]
    assert worst_utterances([], [], 3) == []
