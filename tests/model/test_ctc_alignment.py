"""The CTC alignment is the best of all paths, found by trying each."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from sorigeul.model.ctc_alignment import CTCSpans, ctc_spans

BLANK = 3


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [token for token, _ in itertools.groupby(path) if token != BLANK]


def best_path(scores: np.ndarray, text: list[int]) -> tuple[int, ...] | None:
    """Of all paths (S,) that write the text, the most probable."""
    paths = itertools.product(range(BLANK + 1), repeat=len(scores))
    fitting = [path for path in paths if collapsed(path) == text]
    frames = range(len(scores))
    return max(fitting, key=lambda path: scores[frames, path].sum(), default=None)


TEXTS = [[0, 1], [2, 2], [1], [], [0, 1, 0], [1, 1, 1, 1]]
LENGTHS = [6, 5, 6, 3, 3, 6]


@pytest.fixture(scope="module")
def found() -> tuple[np.ndarray, CTCSpans]:
    """Six utterances in a batch: the last text does not fit."""
    logits = np.random.default_rng(3).normal(size=(6, 6, 4)).astype(np.float32) * 2
    tokens = np.zeros((6, 4), np.int64)
    for row, text in enumerate(TEXTS):
        tokens[row, : len(text)] = text
    counts = np.array([len(text) for text in TEXTS])
    return logits, ctc_spans(logits, np.array(LENGTHS), tokens, counts, BLANK)


@pytest.mark.parametrize("row", range(5))
def test_spans_are_those_of_the_best_path(found: tuple[np.ndarray, CTCSpans], row: int) -> None:
    logits, spans = found
    scores = log_softmax(logits[row, : LENGTHS[row]], axis=1)
    text, path = TEXTS[row], best_path(scores, TEXTS[row])
    assert path is not None
    runs = [list(group) for _, group in itertools.groupby(enumerate(path), lambda one: one[1])]
    emitted = [[frame for frame, _ in run] for run in runs if run[0][1] != BLANK]
    count = len(text)
    assert spans.aligned[row].tolist() == [True] * count + [False] * (4 - count)
    assert spans.first[row, :count].tolist() == [frames[0] for frames in emitted]
    assert spans.last[row, :count].tolist() == [frames[-1] for frames in emitted]
    assert spans.middle[row, :count].tolist() == [np.mean(frames) for frames in emitted]
    means = [np.exp(scores[frames, text[i]].mean()) for i, frames in enumerate(emitted)]
    assert spans.probability[row, :count] == pytest.approx(means, rel=1e-5)


def test_a_text_that_needs_more_frames_is_not_aligned(found: tuple[np.ndarray, CTCSpans]) -> None:
    """Four times one character need a blank between each."""
    assert not found[1].aligned[5].any()


def test_tensors_give_the_same(found: tuple[np.ndarray, CTCSpans]) -> None:
    logits, expected = found
    tokens = np.zeros((6, 4), np.int64)
    for row, text in enumerate(TEXTS):
        tokens[row, : len(text)] = text
    counts = np.array([len(text) for text in TEXTS])
    tensors = [torch.from_numpy(array) for array in (logits, np.array(LENGTHS), tokens, counts)]
    own = ctc_spans(*tensors, BLANK)
    mixed = ctc_spans(tensors[0], tensors[1], tokens, counts, BLANK)
    for name, values in vars(expected).items():
        assert isinstance(getattr(own, name), torch.Tensor)
        assert isinstance(getattr(mixed, name), np.ndarray)
        for spans in (own, mixed):
            found_values = np.asarray(getattr(spans, name))[expected.aligned]
            assert found_values == pytest.approx(values[expected.aligned], rel=1e-5), name
        assert own.aligned.tolist() == expected.aligned.tolist()
