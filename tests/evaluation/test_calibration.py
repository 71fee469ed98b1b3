"""Expected calibration error and reliability, compared with plain loops and known cases."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sorigeul.evaluation.calibration import (
    correct_shares,
    correct_words,
    expected_calibration_error,
    judged_words,
    plot_reliability,
    reliability,
)
from sorigeul.evaluation.evaluate import RecognizedUtterance
from sorigeul.recognition.transcription import Word


@pytest.mark.parametrize(
    ("words", "reference", "correct"),
    [
        (["가", "나", "다"], "가 나 다", [True, True, True]),
        (["가", "라", "다"], "가 나 다", [True, False, True]),
        (["가", "다"], "가 나 다", [True, True]),
        (["가", "가", "나"], "가 나", [False, True, True]),
        (["가나"], "가 나", [False]),
        (["가"], "", [False]),
        ([], "가 나", []),
        (["각".encode().decode()], "\u1100\u1161\u11a8", [True]),  # NFD
    ],
)
def test_a_word_is_correct_if_the_alignment_pairs_it_with_its_equal(
    words: list[str], reference: str, correct: list[bool]
) -> None:
    found = correct_words(words, reference)
    assert sum(found) == sum(correct)
    if words != ["가", "가", "나"]:  # either of the two is as good
        assert found == correct


def test_the_words_of_all_utterances_are_judged() -> None:
    def recognized(reference: str, confidences: dict[str, float]) -> RecognizedUtterance:
        words = [Word(word, 0.0, 1.0, confidence) for word, confidence in confidences.items()]
        text, nothing = " ".join(confidences), torch.empty(0, 0)
        return RecognizedUtterance("u", reference, text, None, "", 1.0, [], nothing, None, words)

    utterances = [
        recognized("가 나 다", {"가": 0.9, "라": 0.2, "다": 0.8}),
        recognized("가", {}),
        recognized("바", {"바": 0.7}),
    ]
    assert judged_words(utterances) == ([0.9, 0.2, 0.8, 0.7], [True, False, True, True])
    assert judged_words([]) == ([], [])


def test_the_share_of_each_segment_is_that_of_its_characters() -> None:
    shares = correct_shares(["가나 다", "", "라하", "하하"], "가나다 라마")
    assert shares == [1.0, None, 0.5, 0.0]
    assert correct_shares([], "가") == []
    assert correct_shares(["가 나"], "가나") == [1.0]


def test_the_error_is_that_of_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    confidences = random.random(300)
    corrects = (random.random(300) < confidences**2).astype(float)
    pairs = sorted(zip(confidences.tolist(), corrects.tolist(), strict=True))
    total = 0.0
    for start in range(0, 300, 30):
        part = pairs[start : start + 30]
        mean_confidence = sum(confidence for confidence, _ in part) / 30
        mean_correct = sum(correct for _, correct in part) / 30
        total += abs(mean_confidence - mean_correct) / 10
    found = expected_calibration_error(confidences.tolist(), corrects.tolist(), bins=10)
    assert found == pytest.approx(total)


def test_true_probabilities_have_almost_no_error_and_others_do() -> None:
    random = np.random.default_rng(1)
    confidences = random.random(60_000)
    corrects = (random.random(60_000) < confidences).astype(float)
    assert expected_calibration_error(confidences.tolist(), corrects.tolist()) < 0.012
    assert expected_calibration_error(np.sqrt(confidences).tolist(), corrects.tolist()) > 0.15
    assert expected_calibration_error([0.75] * 4, [1, 1, 1, 0], bins=1) == 0
    assert expected_calibration_error([], []) == 0


def test_bins_are_of_equal_size_and_in_order() -> None:
    confidences = [index / 100 for index in range(100)]
    parts = reliability(confidences[::-1], [1.0] * 100, bins=7)
    assert sum(part.count for part in parts) == 100
    assert {part.count for part in parts} == {14, 15}
    means = [part.confidence for part in parts]
    assert means == sorted(means)
    assert [part.count for part in reliability([0.5, 0.6], [0.0, 1.0])] == [1, 1]
    assert reliability([], []) == []
    with pytest.raises(ValueError, match="1 confidences, but 2 corrects"):
        reliability([0.5], [1.0, 0.0])


def test_the_plot_is_a_png(tmp_path: Path) -> None:
    parts = reliability([0.1, 0.5, 0.9], [0.0, 1.0, 1.0])
    plot_reliability(tmp_path / "reliability.png", parts, "words, $1")
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")
