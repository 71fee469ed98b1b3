"""The mel scale, and the filters of a mel spectrogram.

Slaney, "Auditory Toolbox", 1998: linear below 1 kHz, logarithmic above.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigeul.sound.audio import SAMPLE_RATE

_LINEAR_HERTZ_PER_MEL = 200 / 3
_LOG_START_HERTZ = 1000.0
_LOG_START_MEL = _LOG_START_HERTZ / _LINEAR_HERTZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27

Values = npt.NDArray[np.floating[Any]]


def mel_filter_bank(n_mels: int, n_fft: int) -> npt.NDArray[np.float32]:
    """Triangular filters (n_fft // 2 + 1, n_mels) of equal area, from 0 Hz to the highest."""
    frequencies = np.linspace(0, SAMPLE_RATE / 2, n_fft // 2 + 1)
    edges = _mel_band_edges(n_mels)
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.minimum(rising, falling).clip(0)
    return (triangles * 2 / (edges[2:] - edges[:-2])).astype(np.float32)


def mel_band_centres(n_mels: int) -> npt.NDArray[np.float64]:
    """The frequency in Hz at the peak of each of these filters (F,)."""
    return np.asarray(_mel_band_edges(n_mels)[1:-1], np.float64)


def _mel_band_edges(n_mels: int) -> Values:
    """Where the filters begin, peak and end: each begins at the peak of the one before."""
    return _mel_to_hertz(np.linspace(0, _hertz_to_mel(SAMPLE_RATE / 2), n_mels + 2))


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _LOG_START_HERTZ:
        return hertz / _LINEAR_HERTZ_PER_MEL
    return _LOG_START_MEL + math.log(hertz / _LOG_START_HERTZ) / _LOG_STEP


def _mel_to_hertz(mel: Values) -> Values:
    logarithmic = _LOG_START_HERTZ * np.exp(_LOG_STEP * (mel - _LOG_START_MEL))
    return np.where(mel < _LOG_START_MEL, mel * _LINEAR_HERTZ_PER_MEL, logarithmic)
