"""Calibration finds the line that the data follow, and changes nothing where there are none."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.recognition.confidence import (
    Calibration,
    ConfidenceCalibration,
    fit_calibration,
    raw_confidence,
)
from sorigeul.sound.audio import SAMPLE_RATE, Samples


def drawn(calibration: Calibration, count: int, seed: int) -> tuple[list[float], list[float]]:
    """Raw confidences, and whether each is correct if `calibration` is the truth."""
    random = np.random.default_rng(seed)
    raw = random.uniform(0.02, 0.98, count).tolist()
    correct = [float(random.random() < calibration(confidence)) for confidence in raw]
    return raw, correct


@pytest.mark.parametrize("truth", [Calibration(0.5, -1.0), Calibration(2.0, 0.7), Calibration()])
def test_the_calibration_that_the_data_follow_is_found(truth: Calibration) -> None:
    found = fit_calibration(*drawn(truth, 40_000, 1))
    assert 1 / found.temperature == pytest.approx(1 / truth.temperature, rel=0.06)
    assert found.bias == pytest.approx(truth.bias, abs=0.06)


def test_it_is_the_most_probable_one() -> None:
    """Compared with a general optimiser, on shares too."""
    raw, correct = drawn(Calibration(0.6, -0.5), 200, 2)
    correct = [0.5 * value + 0.25 for value in correct]
    logits = np.log(np.array(raw) / (1 - np.array(raw)))

    def loss(weights: Any) -> float:
        predicted = 1 / (1 + np.exp(-(weights[0] * logits + weights[1])))
        terms = correct * np.log(predicted) + (1 - np.array(correct)) * np.log(1 - predicted)
        return float(-terms.sum() + 0.5 * ((weights[0] - 1) ** 2 + weights[1] ** 2))

    expected = minimize(loss, (1.0, 0.0)).x
    found = fit_calibration(raw, correct)
    assert (1 / found.temperature, found.bias) == pytest.approx(expected.tolist(), abs=1e-3)


@pytest.mark.parametrize(
    ("raw", "correct"),
    [
        ([], []),
        ([0.5], [1.0]),
        ([0.1, 0.2, 0.9], [1.0, 1.0, 1.0]),
        ([0.0, 1.0] * 500, [0.0, 1.0] * 500),
    ],
)
def test_few_or_extreme_data_give_a_usable_calibration(
    raw: list[float], correct: list[float]
) -> None:
    calibration = fit_calibration(raw, correct)
    assert 0 < calibration.temperature <= 100
    assert abs(calibration.bias) < 20
    if not raw:
        assert calibration == Calibration()


def test_confidence_against_the_truth_does_not_turn_the_order_around() -> None:
    raw = [index / 100 for index in range(1, 100)]
    calibration = fit_calibration(raw, [1 - confidence for confidence in raw])
    assert calibration(0.9) >= calibration(0.1)
    assert calibration(0.9) == pytest.approx(0.5, abs=0.05)


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 confidences, but 1 corrects"):
        fit_calibration([0.5, 0.5], [1.0])


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.05, 20), st.floats(-10, 10))
def test_a_calibration_keeps_the_order_and_the_range(
    low: float, high: float, temperature: float, bias: float
) -> None:
    low, high = min(low, high), max(low, high)
    calibration = Calibration(temperature, bias)
    assert 0 <= calibration(low) <= calibration(high) <= 1
    assert Calibration()(low) == low


def test_what_is_written_is_read_back() -> None:
    calibration = ConfidenceCalibration(Calibration(0.7, -0.3), Calibration(0.9, 1.2))
    content = json.loads(json.dumps(calibration.to_json()))
    assert ConfidenceCalibration.from_json(content, "search.json") == calibration


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        {"words": {"temperature": 1.0, "bias": 0.0}},
        {"words": {"temperature": 1.0}, "segments": {"temperature": 1.0, "bias": 0.0}},
        {"words": {"temperature": "a", "bias": 0}, "segments": {"temperature": 1, "bias": 0}},
        {"words": {"temperature": True, "bias": 0}, "segments": {"temperature": 1, "bias": 0}},
    ],
)
def test_a_damaged_calibration_is_refused(content: Any) -> None:
    with pytest.raises(UserError, match=r"search\.json.*calibration.*tune again"):
        ConfidenceCalibration.from_json(content, "search.json")


@pytest.mark.parametrize(("temperature", "bias"), [(0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0)])
def test_a_temperature_must_be_positive(temperature: float, bias: float) -> None:
    with pytest.raises(UserError, match=r"temperature is .*, but must be above 0"):
        Calibration(temperature, bias)


def test_a_raw_confidence_is_a_mean_of_speller_and_ctc() -> None:
    assert raw_confidence([0.25, 1.0], None) == pytest.approx(0.5)
    assert raw_confidence([0.5, 0.5], [0.5, 0.5]) == pytest.approx(0.5)
    assert 0.5 < raw_confidence([0.5], [0.9]) < 0.9
    assert raw_confidence([], None) == raw_confidence([], []) == 0
    assert 0 < raw_confidence([0.0, 1.0], [0.0, 1.0]) < 0.01


def test_a_recogniser_calibrates_its_words_and_segments(
    recognizer: Recognizer, speech: Samples
) -> None:
    """The texts and times stay; without a calibration segments have the speller's confidence."""
    from helpers.transcripts import encoded

    raw = recognizer.transcribe(encoded(speech, SAMPLE_RATE, "WAV"))
    calibration = ConfidenceCalibration(Calibration(0.7, -0.3), Calibration(2.0, 1.0))
    recognizer.calibration = calibration
    try:
        calibrated = recognizer.transcribe(encoded(speech, SAMPLE_RATE, "WAV"))
    finally:
        recognizer.calibration = None
    assert calibrated.text == raw.text
    for segment, expected in zip(calibrated.segments, raw.segments, strict=True):
        assert segment.calibrated
        assert not expected.calibrated
        assert segment.confidence == calibration.segments(expected.raw_confidence)
        for word, other in zip(segment.words, expected.words, strict=True):
            assert (word.word, word.start, word.end) == (other.word, other.start, other.end)
            assert word.confidence == calibration.words(other.confidence)
