"""Silence before and after speech, by level."""

import numpy as np
import pytest
from helpers import tones

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.surrounding_silence import surrounding_silence


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
    assert surrounding_silence(samples) == pytest.approx((before, after), abs=0.08)


def test_a_click_in_the_silence_is_no_speech() -> None:
    samples = with_silence(2, 0, 0.003)
    samples[SAMPLE_RATE : SAMPLE_RATE + 80] = 0.9
    assert surrounding_silence(samples)[0] == pytest.approx(2, abs=0.08)


@pytest.mark.parametrize("length", [0, 1, 159, 160, 1600, 1601])
def test_silence_alone_is_not_around_anything(length: int) -> None:
    assert max(surrounding_silence(np.zeros(length, np.float32))) == 0.0
