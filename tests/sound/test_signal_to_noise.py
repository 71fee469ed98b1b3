"""The estimate of signal to noise finds the ratio at which noise was added."""

import numpy as np
import pytest
from helpers import tones

from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.signal_to_noise import estimate_signal_to_noise


@pytest.mark.parametrize("ratio", [5, 10, 20, 30])
def test_it_is_near_the_ratio_of_bursts_in_noise(ratio: float) -> None:
    """Bursts that are on half of the time are 3 dB above their mean power."""
    generator = np.random.default_rng(0)
    noise = generator.standard_normal(4 * SAMPLE_RATE)
    bursts = np.sqrt(10 ** (ratio / 10)) * generator.standard_normal(len(noise))
    bursts *= np.arange(len(noise)) // (SAMPLE_RATE // 4) % 2
    estimate = estimate_signal_to_noise((0.01 * (bursts + noise)).astype(np.float32))
    assert estimate == pytest.approx(10 * np.log10(1 + 10 ** (ratio / 10)), abs=2)


def test_it_falls_with_the_noise_and_does_not_depend_on_the_level() -> None:
    speech = tones.synthesize("가 나 다 라")
    noise = np.random.default_rng(1).standard_normal(len(speech)).astype(np.float32)
    estimates = [estimate_signal_to_noise(speech + level * noise) for level in (0, 0.01, 0.1)]
    assert estimates == sorted(estimates, reverse=True)
    assert estimate_signal_to_noise(0.3 * speech) == pytest.approx(estimates[0], abs=0.1)


@pytest.mark.parametrize("samples", [0, 100, 16_000])
def test_silence_has_no_ratio(samples: int) -> None:
    assert estimate_signal_to_noise(np.zeros(samples, np.float32)) == 0
