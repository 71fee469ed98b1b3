"""Reverberation: the impulse response of a drawn place in a room with a given reverberation time.

A model of the direct sound, some early reflections and a tail that decays at the same rate at all
frequencies. In a real room high frequencies decay sooner.
"""

import numpy as np

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.noises import fast_fft_size

_VOLUME = 60.0  # cubic metres of the room
_DISTANCES = (0.5, 2.0)  # metres between speaker and microphone
_DIRECTIVITY = 2.0  # a speaker faces the microphone
_FIRST_REFLECTION = 0.002  # seconds after the direct sound
_LAST_EARLY_REFLECTION = 0.03
_EARLY_REFLECTIONS = 6
_EARLY_STRENGTH = 4.0  # how far early reflections stand out of the tail


def room_response(rt60: float, random: np.random.Generator) -> Samples:
    """Impulse response (R,), direct sound first; `rt60`: seconds in which it falls by 60 dB.

    Direct sound and reverberation are equally strong at the critical distance, 0.057 sqrt(Q V / T)
    metres (Kuttruff, Room Acoustics, 5.3). The distance of the speaker is drawn.
    """
    size = max(2, round(rt60 * SAMPLE_RATE))
    decay = 10 ** (-3 * np.arange(size) / (rt60 * SAMPLE_RATE))
    tail = decay * random.standard_normal(size)
    last = min(_LAST_EARLY_REFLECTION, rt60 / 4)
    delays = random.uniform(_FIRST_REFLECTION, max(last, _FIRST_REFLECTION), _EARLY_REFLECTIONS)
    early = np.minimum((delays * SAMPLE_RATE).astype(int), size - 1)
    tail[early] = _EARLY_STRENGTH * decay[early] * random.choice([-1, 1], _EARLY_REFLECTIONS)
    tail[: round(_FIRST_REFLECTION * SAMPLE_RATE)] = 0
    critical_distance = 0.057 * (_DIRECTIVITY * _VOLUME / rt60) ** 0.5
    reverberation = random.uniform(*_DISTANCES) / critical_distance
    response = tail * reverberation / max(1e-9, float(np.sqrt(np.sum(tail**2))))
    response[0] = 1
    return np.asarray(response, np.float32)


def reverberate(samples: Samples, response: Samples) -> Samples:
    """Samples (N,) as heard through an impulse response (R,), with their mean power as before.

    The direct sound keeps its time, and the reverberation after the last sample is cut off.
    """
    size = fast_fft_size(len(samples) + len(response) - 1)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    heard = np.fft.irfft(spectrum, size)[: len(samples)]
    return np.asarray(heard * (np.std(samples) / (np.std(heard) or 1)), np.float32)
