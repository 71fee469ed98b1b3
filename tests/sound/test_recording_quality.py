"""Speech is told from silence and steady noise, and clipping and missing bands are found in it."""

import numpy as np
import pytest
import soxr
from helpers import tones

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.recording_quality import RecordingQuality

SPEECH = tones.synthesize("가나 다라가 나 다", seed=1)


def through(rate: int, samples: Samples, clip: float = np.inf) -> Samples:
    """Samples at 16 kHz, clipped at another rate."""
    there = soxr.resample(samples, SAMPLE_RATE, rate)
    clipped = np.clip(there, -clip, clip)
    return np.asarray(soxr.resample(clipped, rate, SAMPLE_RATE), np.float32)


def test_the_measures_are_those_of_their_definitions() -> None:
    loud, quiet = 0.5, 0.05
    tone = np.sin(2 * np.pi * 997.3 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    samples = np.concatenate((quiet * tone, loud * tone)).astype(np.float32)
    quality = RecordingQuality.of(samples)
    assert quality.peak == pytest.approx(-6.02, abs=0.01)
    assert quality.dynamic_range == pytest.approx(20, abs=0.1)
    # Of a wave, this share is within 1 % of its peak; here of half of the samples.
    assert quality.at_peak == pytest.approx(np.arccos(0.99) / np.pi, rel=0.1)


@pytest.mark.parametrize("seconds", [0.15, 0.5, 3.0, 25.0])
@pytest.mark.parametrize("kind", ["white", "hum", "silence", "tone"])
def test_noise_and_silence_hold_no_speech(kind: str, seconds: float) -> None:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    samples = {
        "white": 0.02 * noise,
        "hum": 0.05 * np.sin(2 * np.pi * 60 * time) + 1e-4 * noise,
        "silence": 2e-5 * noise,
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
    }[kind]
    quality = RecordingQuality.of(samples.astype(np.float32))
    assert quality.has_no_speech
    assert not quality.is_clipped


def test_digital_silence_is_not_clipped() -> None:
    assert not RecordingQuality.of(np.zeros(SAMPLE_RATE, np.float32)).is_clipped


def test_speech_at_any_level_is_no_noise() -> None:
    for level in (1.0, 0.1, 0.01):
        quality = RecordingQuality.of(np.float32(level) * SPEECH)
        assert not any((quality.has_no_speech, quality.is_clipped, quality.is_narrowband))


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 44_100])
def test_cut_tips_of_waves_are_clipping_at_any_rate(rate: int) -> None:
    twice_as_loud = 2 * SPEECH / np.abs(SPEECH).max()
    assert RecordingQuality.of(through(rate, twice_as_loud, clip=1.0)).is_clipped
    assert not RecordingQuality.of(through(rate, twice_as_loud / 2.2, clip=1.0)).is_clipped


def test_what_was_recorded_at_8_khz_is_narrowband() -> None:
    assert RecordingQuality.of(through(8_000, SPEECH)).is_narrowband
    assert not RecordingQuality.of(through(24_000, SPEECH)).is_narrowband


def test_the_length_of_the_pieces_that_are_computed_at_once_does_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = RecordingQuality.of(SPEECH)
    monkeypatch.setattr("sorigeul.sound.recording_quality._FRAMES_AT_ONCE", 7)
    pieces = RecordingQuality.of(SPEECH)
    assert vars(pieces) == pytest.approx(vars(whole))
