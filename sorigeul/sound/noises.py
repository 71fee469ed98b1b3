"""Noises behind speech: white, pink and brown noise, mains hum, babble, and a silent room.

Each takes its random choices from the generator that it is given. A ratio compares the mean powers
of the whole utterance, pauses included, and of the noise.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from sorigeul.sound.audio import SAMPLE_RATE, Samples

_LOWEST_HERTZ = 50.0
"""below it pink and brown noise do not rise; else inaudible rumble would take most of the power"""
_EXPONENTS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
"""power falls with this power of the frequency"""
COLORS = tuple(_EXPONENTS)
MAINS_HERTZ = 60  # in Korea
_HARMONICS = 10
BABBLE_VOICES = 6
_ROOM_DECIBELS = (-72.0, -60.0)  # power of the noise of a silent room, where full scale is 1


def fast_fft_size(samples: int) -> int:
    """A multiple of 4 that is at least `samples`, and whose Fourier transform is fast.

    Sizes with large prime factors take up to four times as long.
    """
    power = 1 << max(2, (max(samples, 16) - 1).bit_length() - 3)  # an eighth of the next power of 2
    return -(-samples // power) * power


def color_noise(size: int, color: str, random: np.random.Generator) -> Samples:
    """Noise (size,) with mean power 1, of one of `COLORS`."""
    if not size:
        return np.empty(0, np.float32)
    fft_size = fast_fft_size(size)
    bins = fft_size // 2 + 1
    spectrum = random.standard_normal(2 * bins, np.float32).view(np.complex64)
    hertz = np.fft.rfftfreq(fft_size, 1 / SAMPLE_RATE)
    spectrum *= np.maximum(hertz, _LOWEST_HERTZ).astype(np.float32) ** (-_EXPONENTS[color] / 2)
    spectrum[0] = 0
    return _with_unit_power(np.fft.irfft(spectrum, fft_size)[:size])


def mains_hum(size: int, random: np.random.Generator) -> Samples:
    """Hum (size,) with mean power 1: 60 Hz and harmonics of drawn strength and phase."""
    period = 3 * SAMPLE_RATE // MAINS_HERTZ  # three periods are a whole number of samples: 800
    angle = 2 * np.pi * 3 * np.arange(period) / period
    hum = np.zeros(period)
    for harmonic in range(1, _HARMONICS + 1):
        strength = random.uniform(0.2, 1) / harmonic
        hum += strength * np.sin(harmonic * angle + random.uniform(0, 2 * np.pi))
    return np.resize(_with_unit_power(hum), size)


def babble(samples: Samples, voices: Sequence[Samples], random: np.random.Generator) -> Samples:
    """Babble (N,) with mean power 1 to go behind samples (N,): six of the `voices` at once.

    Without voices it is made of the utterance itself, backwards, at six speeds and from six
    positions. Nothing can be understood in it, and it has the rhythm and the spectrum of speech,
    but of one speaker.
    """
    if not voices:
        voices = [
            np.asarray(soxr.resample(samples[::-1], speed, 1.0, quality="QQ"), np.float32)
            for speed in random.uniform(0.8, 1.25, BABBLE_VOICES)
        ]
    mixed = np.zeros(len(samples), np.float32)
    for number in random.permutation(len(voices))[:BABBLE_VOICES].tolist():
        voice = voices[number]
        start = int(random.integers(len(voice)))
        mixed += _with_unit_power(np.resize(np.roll(voice, -start), len(samples)))
    return _with_unit_power(mixed)


def add_noise(samples: Samples, noise: Samples, decibels: float) -> Samples:
    """Samples (N,) with `noise` (N,), of mean power 1, at this signal-to-noise ratio."""
    level = np.std(samples) * 10 ** (-decibels / 20)
    return np.asarray(samples + level * noise, np.float32)


def silence_around(samples: Samples, seconds: float, random: np.random.Generator) -> Samples:
    """Samples (N,) with `seconds` of the faint noise of a room, a drawn share of them before."""
    added = round(seconds * SAMPLE_RATE)
    before = round(added * random.random())
    level = 10 ** (random.uniform(*_ROOM_DECIBELS) / 20)
    room = (level * color_noise(added, "pink", random)).astype(np.float32)
    return np.concatenate([room[:before], samples, room[before:]])


def _with_unit_power(samples: npt.NDArray[np.floating[Any]]) -> Samples:
    """Samples (N,) with mean 0 and mean power 1; zeros stay zeros."""
    if not len(samples):
        return np.empty(0, np.float32)
    centred = samples - samples.mean()
    return np.asarray(centred / (centred.std() or 1), np.float32)
