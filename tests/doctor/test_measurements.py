"""Measurements of single utterances."""

import numpy as np
import pytest
from helpers import tones

from sorigeul.doctor.measurements import measure, silence_around
from sorigeul.sound.audio import SAMPLE_RATE, Samples


@pytest.mark.parametrize("hertz", [90.0, 180.0, 320.0])
def test_pitch_and_seconds_of_speech_of_a_harmonic_tone(hertz: float) -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, 8)) * (time < 0.8)
    measurements = measure("a", "가", np.asarray(0.2 * tone, np.float32))
    assert measurements.pitch == pytest.approx(hertz, rel=0.05)
    assert measurements.speech == pytest.approx(0.8, abs=0.05)


def with_silence(before: float, after: float, level: float) -> Samples:
    """A second of tones between two stretches of faint noise."""
    noise = np.random.default_rng(0).standard_normal(round((1 + before + after) * SAMPLE_RATE))
    samples = (level * noise).astype(np.float32)
    first = round(before * SAMPLE_RATE)
    samples[first : first + SAMPLE_RATE] += tones.synthesize("가나다라")
    return samples


@pytest.mark.parametrize(("before", "after"), [(0, 0), (0.5, 0), (0, 2), (1.5, 0.7), (20, 30)])
@pytest.mark.parametrize("level", [0.0, 0.0003, 0.003])
def test_silence_is_measured_up_to_where_the_speech_is_loud(
    before: float, after: float, level: float
) -> None:
    samples = with_silence(before, after, level)
    assert silence_around(samples) == pytest.approx((before, after), abs=0.08)
    assert measure("a", "가", samples).silence == max(silence_around(samples))


def test_a_click_in_the_silence_is_no_speech() -> None:
    samples = with_silence(2, 0, 0.003)
    samples[SAMPLE_RATE : SAMPLE_RATE + 80] = 0.9
    assert silence_around(samples)[0] == pytest.approx(2, abs=0.08)


@pytest.mark.parametrize("length", [0, 1, 159, 160, 1600, 1601])
def test_silence_alone_is_not_around_anything(length: int) -> None:
    assert max(silence_around(np.zeros(length, np.float32))) == 0.0
