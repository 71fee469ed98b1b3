"""Forced alignment by a model of letters."""

import numpy as np
import pytest

from sorigeul.doctor.forced_alignment import UNALIGNABLE, Array, LetterModel, letters

RANDOM = np.random.default_rng(0)
SOUNDS = {letter: RANDOM.standard_normal(6) * 3 for letter in "abcdef"}


def spoken(text: str) -> Array:
    """Frames (T, 6) of a text: each letter for two to six frames, with noise."""
    rows = [np.tile(SOUNDS[letter], (RANDOM.integers(2, 7), 1)) for letter in letters(text)]
    clean = np.concatenate(rows)
    return (clean + RANDOM.standard_normal(clean.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return ["".join(RANDOM.choice(list("abcdef"), RANDOM.integers(6, 15))) for _ in range(80)]


@pytest.fixture(scope="module")
def model(texts: list[str]) -> LetterModel:
    model = LetterModel.trained([spoken(text) for text in texts], texts)
    assert model is not None
    return model


def test_it_learns_what_letters_sound_like(model: LetterModel, texts: list[str]) -> None:
    """New recordings of the texts fit their own far better than others."""
    frames = [spoken(text) for text in texts]
    own = model.scores(frames, texts)
    others = model.scores(frames, [text[::-1] for text in texts])
    assert np.mean(own > others) > 0.95


def test_utterances_of_a_batch_are_scored_as_each_alone(
    model: LetterModel, texts: list[str]
) -> None:
    frames = [spoken(text) for text in texts[:9]]
    alone = [model.scores([rows], [text])[0] for rows, text in zip(frames, texts, strict=False)]
    np.testing.assert_allclose(model.scores(frames, texts[:9]), alone, rtol=1e-4)


def test_a_score_is_the_best_of_all_paths(model: LetterModel) -> None:
    """Against all ways of cutting five frames in three."""
    frames = spoken("abc")[:5]
    means = model.means[[model.ids[letter] for letter in "abc"]]
    whitened = frames @ model.whitening
    density = -np.square(whitened[:, None] - means).sum(2) / 2
    best = max(
        sum(density[frame, int(frame >= first) + int(frame >= second)] for frame in range(5))
        for first in range(1, 4)
        for second in range(first + 1, 5)
    )
    common = -np.square(whitened).sum() / 2  # left out of scores: the same for all
    assert model.scores([frames], ["abc"])[0] * 5 == pytest.approx(best - common, rel=1e-4)


def test_texts_that_cannot_be_aligned(model: LetterModel) -> None:
    frames = spoken("abc")
    scores = model.scores([frames] * 3, ["a" * (len(frames) + 1), "?!", "a" * len(frames)])
    assert list(scores == UNALIGNABLE) == [True, True, False]
    assert LetterModel.trained([frames], ["a" * 100]) is None


def test_letters_are_jamo_without_punctuation() -> None:
    assert letters("각, b!") == ["\u1100", "\u1161", "\u11a8", "b"]
