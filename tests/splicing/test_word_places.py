"""Words of the tone language in time, found by models of characters and of longer units."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import tones

from sorigeul.alignment.script import Script
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.splicing.word_places import UNKNOWN, WordPlaces, _edges, place_words

TEXTS = ["다나가 라다 나라", "가나 다나가", "나라 가나 라다", "라다", "가나 가나"]


@pytest.fixture(scope="module", params=["characters", "units", "by PyTorch"])
def recognizer(request: pytest.FixtureRequest, run: Path, bpe_run: Path) -> Recognizer:
    engine = "torch" if request.param == "by PyTorch" else "auto"
    return Recognizer.from_pretrained(bpe_run if request.param == "units" else run, engine=engine)


@pytest.fixture
def place(recognizer: Recognizer) -> Callable[..., list[WordPlaces | None]]:
    def places(texts: list[str], spoken: list[str] | None = None) -> list[WordPlaces | None]:
        sounds = [tones.synthesize(text) for text in spoken or texts]
        vocabulary = recognizer.pretrained.vocabulary
        scripts = [Script.from_lines([text], vocabulary) for text in texts]
        return place_words(recognizer, sounds, scripts)

    return places


def test_an_utterance_is_cut_where_nothing_is_said(
    recognizer: Recognizer, place: Callable[..., list[WordPlaces | None]]
) -> None:
    errors = []
    for text, found in zip(TEXTS, place(TEXTS), strict=True):
        assert found is not None
        assert found.texts == text.split()
        assert len(found.scores) == len(found.texts) == len(found.edges) - 1
        assert found.edges == sorted(found.edges)
        assert found.edges[0] == 0
        assert found.edges[-1] == pytest.approx(len(text) * tones.SECONDS, abs=0.001)
        spaces = [place for place, one in enumerate(text) if one == " "]
        for edge, space in zip(found.edges[1:-1], spaces, strict=True):
            errors.append(abs(edge / tones.SECONDS - space - 0.5))  # in characters
    # A unit of several characters is heard anywhere among them.
    assert np.median(errors) < (1.0 if recognizer.pretrained.vocabulary.kind == "bpe" else 0.5)


def test_words_that_are_not_said_have_low_scores(
    place: Callable[..., list[WordPlaces | None]],
) -> None:
    right, wrong = place(["라다 가나", "라다 가나"], ["라다 가나", "라다 다라"])
    assert right is not None
    assert wrong is not None
    assert min(right.scores) > max(-3, wrong.scores[1])


def test_texts_that_cannot_be_said_in_the_time_or_have_unknown_words_are_not_placed(
    place: Callable[..., list[WordPlaces | None]],
) -> None:
    found = place(["라다 " * 99, "라다 x", "라다"], ["라다"] * 3)
    assert found[:2] == [None, None]
    assert found[2] is not None
    assert place(["x"], ["라다"]) == [None]
    assert place([""], ["라다"]) == [None]


def test_a_word_that_is_half_known_is_not_sure_and_signs_are_no_words(
    place: Callable[..., list[WordPlaces | None]],
) -> None:
    (found,) = place(["- 라다, 가x나 - 나라!"], ["라다 가나 나라"])
    assert found is not None
    assert found.texts == ["- 라다,", "가x나 -", "나라!"]
    assert found.scores[1] == UNKNOWN
    assert min(found.scores[0], found.scores[2]) > UNKNOWN


def test_no_cut_is_in_the_inner_half_of_a_word_where_it_is_quiet() -> None:
    rate = 16_000
    sound = np.full(2 * rate, 0.3, np.float32)
    sound[int(0.97 * rate) : int(0.98 * rate)] = 0.0  # in the middle of a short word
    words = np.array([[0.1, 0.94], [0.94, 1.0], [1.0, 1.9]])
    edges = _edges(words, sound)
    assert edges[0] == 0
    assert edges[-1] == 2
    assert 0.89 <= edges[1] <= 0.955
    assert 0.985 <= edges[2] <= 1.05
    sound[int(1.02 * rate) : int(1.04 * rate)] = 0.0
    assert _edges(words, sound)[2] == pytest.approx(1.02, abs=0.01)


def test_a_row_does_not_depend_on_the_others_of_its_batch(
    place: Callable[..., list[WordPlaces | None]],
) -> None:
    together = place(TEXTS)
    for text, one in zip(TEXTS, together, strict=True):
        (alone,) = place([text])
        assert alone is not None
        assert one is not None
        assert alone.edges == one.edges
        assert alone.scores == pytest.approx(one.scores, abs=0.01)
