"""An estimate of how far speech is above the noise behind it, from the levels of short frames."""

import numpy as np

from sorigeul.sound.audio import SAMPLE_RATE, Samples

_FRAME = SAMPLE_RATE // 50  # samples: 20 ms
_LOUD, _QUIET = 95, 10  # percentiles of the level
_FLOOR = 1e-9  # of the power: below the steps of 16 bits, so that digital silence is no infinity


def estimate_signal_to_noise(samples: Samples) -> float:
    """How many dB the loud frames of samples (N,) at 16 kHz are above the quiet ones.

    Of frames of 20 ms, the 95th percentile of the level less the 10th. The quiet frames are those
    between words, where there is only noise; so it is too low for speech without any pause. 0 for
    no samples.
    """
    frames = len(samples) // _FRAME
    if not frames:
        return 0.0
    power = np.square(samples[: frames * _FRAME], dtype=np.float64).reshape(frames, _FRAME).mean(1)
    quiet, loud = np.percentile(10 * np.log10(power + _FLOOR), (_QUIET, _LOUD))
    return float(loud - quiet)
