"""Measurements of single utterances."""

import numpy as np
import pytest
from helpers import tones

from sorigeul.doctor.measurements import measure
from sorigeul.sound.audio import SAMPLE_RATE


@pytest.mark.parametrize("hertz", [90.0, 180.0, 320.0])
def test_pitch_and_seconds_of_speech_of_a_harmonic_tone(hertz: float) -> None:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, 8)) * (time < 0.8)
    measurements = measure("a", "가", np.asarray(0.2 * tone, np.float32))
    assert measurements.pitch == pytest.approx(hertz, rel=0.05)
    assert measurements.speech == pytest.approx(0.8, abs=0.05)


def test_the_silence_is_the_longer_one_of_both_ends() -> None:
    samples = np.pad(tones.synthesize("가나다라"), (SAMPLE_RATE, 2 * SAMPLE_RATE))
    assert measure("a", "가", samples).silence == pytest.approx(2, abs=0.08)
