"""Values that no sound has: repaired if they are few, else refused; floats in an integer scale."""

import numpy as np
import pytest
from helpers.waves import refused, wave, with_soundfile

from sorigeul.sound.audio import SAMPLE_RATE, load


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e30, -2e7])
@pytest.mark.parametrize("rate", [SAMPLE_RATE, 44_100])
def test_a_few_impossible_values_are_set_to_zero(value: float, rate: int) -> None:
    samples = wave(rate=rate)
    expected = samples.copy()
    for index in (rate // 2, rate):
        samples[index], expected[index] = value, 0
    recording = load(with_soundfile(samples, rate, subtype="FLOAT"))
    repaired = load(with_soundfile(expected, rate, subtype="FLOAT"))
    np.testing.assert_array_equal(recording.samples, repaired.samples)
    assert "set 2 impossible values to 0, the first at 0.50 s" in recording.account


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e7])
def test_many_impossible_values_are_refused(value: float) -> None:
    samples = wave()
    samples[SAMPLE_RATE // 2 :: 100] = value
    message = refused(with_soundfile(samples, subtype="FLOAT"), "a.wav")
    if value == 1e7:
        assert "far above full scale" in message
    assert "the first at 0.50 s" in message


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_in_an_integer_scale_are_divided_by_its_full_scale(bits: int, subtype: str) -> None:
    recording = load(with_soundfile(wave() * 2 ** (bits - 1), subtype=subtype))
    assert np.abs(recording.samples - wave()).max() < 1e-6
    assert f"a {bits}-bit scale" in recording.account[0] + recording.account[1]


def test_loud_floats_are_left_as_they_are() -> None:
    loud = 5 * wave()
    np.testing.assert_array_equal(load(with_soundfile(loud, subtype="FLOAT")).samples, loud)
