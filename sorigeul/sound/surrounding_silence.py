"""How long a recording goes on without speech before its first word and after its last."""

import numpy as np

from sorigeul.sound.audio import SAMPLE_RATE, Samples

_HOP = 160  # samples: 10 ms
_HOPS_PER_SECOND = SAMPLE_RATE / _HOP
_SPEECH_RANGE = 25.0  # dB below the loud hops that still count as speech
_LOUD_HOPS = 25  # the loudest quarter of a second: a click is shorter, a word is not
_SMOOTHED_HOPS = 10  # half of which must be speech


def surrounding_silence(samples: Samples) -> tuple[float, float]:
    """Seconds without speech at the beginning and at the end of samples (N,) at 16 kHz.

    By level: noise that is hardly quieter than the speech counts as speech.
    """
    hops = len(samples) // _HOP
    if not hops:
        return 0.0, 0.0
    power = np.mean(samples[: hops * _HOP].astype(np.float64).reshape(hops, _HOP) ** 2, axis=1)
    level = 10 * np.log10(power + 1e-12)
    loud_level = np.sort(level)[-min(_LOUD_HOPS, hops)]
    is_speech = level > loud_level - _SPEECH_RANGE
    window = min(_SMOOTHED_HOPS, hops)
    share = np.convolve(is_speech, np.ones(window) / window, "same")
    speech = np.flatnonzero(is_speech & (share >= 0.5))
    if not len(speech):
        return 0.0, 0.0
    return speech[0] / _HOPS_PER_SECOND, (hops - 1 - speech[-1]) / _HOPS_PER_SECOND
