"""What comes from a microphone: the same samples whatever the blocks, and an account of losses."""

from types import SimpleNamespace

import numpy as np
import pytest
import soxr

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.microphone import Microphone

STATUS = SimpleNamespace(input_overflow=False)


def record(microphone: Microphone, samples: Samples, size: int, overflow: bool = False) -> None:
    """Give samples to a microphone in blocks, as PortAudio does."""
    status = SimpleNamespace(input_overflow=overflow)
    for start in range(0, len(samples), size):
        block = samples[start : start + size, None]
        microphone._record(block, len(block), None, status)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
@pytest.mark.parametrize("size", [64, 1000, 10**6])
def test_the_samples_do_not_depend_on_the_blocks(rate: int, size: int) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 2 * rate).astype(np.float32)
    microphone = Microphone("room", rate)
    read = []
    for part in np.array_split(sound, 7):
        record(microphone, part, size)
        read.append(microphone.read(1.0))
    samples = np.concatenate(read)
    assert samples.dtype == np.float32
    expected = soxr.resample(sound, rate, SAMPLE_RATE, quality="HQ")
    assert len(expected) - SAMPLE_RATE // 20 < len(samples) <= len(expected)
    assert np.allclose(samples, expected[: len(samples)], atol=1e-6)
    assert microphone.account[0] == "recorded from 'room'"
    assert microphone.account[1:] == (
        () if rate == SAMPLE_RATE else (f"resampled from {rate} Hz to 16000 Hz",)
    )


def test_a_microphone_without_sound_yet_gives_none() -> None:
    assert len(Microphone("room", 48_000).read(0.01)) == 0


def test_losses_are_counted_and_told() -> None:
    microphone = Microphone("room", SAMPLE_RATE)
    record(microphone, np.zeros(100, np.float32), 100, overflow=True)
    assert microphone.gaps == 1
    # More than a minute that nobody reads.
    record(microphone, np.zeros(70 * SAMPLE_RATE, np.float32), SAMPLE_RATE)
    assert 1 < microphone.gaps <= 11
    assert 60 * SAMPLE_RATE <= len(microphone.read(0)) <= 62 * SAMPLE_RATE
    assert microphone.account[-1].startswith(f"lost some sound {microphone.gaps} times")
    record(microphone, np.ones(100, np.float32), 100)
    assert len(microphone.read(0)) == 100
