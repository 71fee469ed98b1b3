"""What the samples of a recording tell of it: level, steadiness, bandwidth, clipping.

Does not know about files, transcripts or corpora. The bounds lie between values of real speech and
of damaged copies of it (docs/lab.md).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigeul.sound.audio import SAMPLE_RATE, Samples

_WINDOW, _HOP, _FFT = 400, 160, 512  # samples: 25, 10 and 32 ms
_FRAMES_AT_ONCE = 1000  # ten seconds, in 4 MB
_LOUD_RANGE = 20.0  # dB below the loud frames that count as loud themselves
_LOWEST_PEAK = -60.0  # dB of full scale: 30 steps of 16-bit audio
_LEAST_DYNAMIC_RANGE = 3.0  # dB; steady noise stays below it, speech has 10 and more
_NARROW_BAND = -35.0  # dB above 4.3 kHz against 2.5 to 3.5 kHz
_AT_PEAK = 0.99  # of the peak
_CLIPPED_SHARE = 0.001  # of the samples; 3 dB of clipping and more

_HERTZ = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
_LOW_BAND = (_HERTZ >= 2500) & (_HERTZ < 3500)
_HIGH_BAND = (_HERTZ >= 4300) & (_HERTZ < 7000)


@dataclass(frozen=True)
class RecordingQuality:
    """What is measured of the samples of a recording."""

    peak: float
    """dB of full scale"""
    dynamic_range: float
    """dB between its loud and its quiet frames"""
    high_band: float
    """level of 4.3 to 7 kHz in its loud frames, in dB above the level of 2.5 to 3.5 kHz"""
    at_peak: float
    """share of the samples that reach its peak, or full scale if it goes beyond, to within 1 %"""

    @classmethod
    def of(cls, samples: Samples) -> "RecordingQuality":
        """Measure samples (N,) at 16 kHz, N > 0."""
        power, low, high = _frame_powers(samples)
        level = 10 * np.log10(power + 1e-12)
        quiet_level, loud_level = np.percentile(level, [10, 95])
        is_loud = level > loud_level - _LOUD_RANGE
        band_levels = (10 * np.log10(band[is_loud].mean() + 1e-15) for band in (high, low))
        distance = np.abs(samples)
        peak = float(distance.max())
        return cls(
            peak=float(20 * np.log10(peak + 1e-12)),
            dynamic_range=float(loud_level - quiet_level),
            high_band=float(next(band_levels) - next(band_levels)),
            at_peak=float(np.mean(distance >= _AT_PEAK * min(peak, 1.0))),
        )

    @property
    def has_no_speech(self) -> bool:
        """Whether it is silence or steady noise."""
        return self.peak < _LOWEST_PEAK or self.dynamic_range < _LEAST_DYNAMIC_RANGE

    @property
    def is_narrowband(self) -> bool:
        """Whether it has nothing above 4 kHz."""
        return self.high_band < _NARROW_BAND

    @property
    def is_clipped(self) -> bool:
        """Whether the tips of its waves have been cut off; silence and steady noise have none."""
        return self.at_peak > _CLIPPED_SHARE and not self.has_no_speech


def _frame_powers(samples: Samples) -> tuple[npt.NDArray[np.floating[Any]], ...]:
    """Power of each frame: all of it, and the means of a low and of a high band; (T,) each."""
    padded = np.pad(samples, (0, max(0, _WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP]
    window = np.hanning(_WINDOW).astype(np.float32)
    powers = []
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        spectra = np.fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * window, _FFT)
        power = np.square(np.abs(spectra))
        bands = (power[:, band].mean(1) for band in (_LOW_BAND, _HIGH_BAND))
        powers.append((power.sum(1), *bands))
    return tuple(map(np.concatenate, zip(*powers, strict=True)))
