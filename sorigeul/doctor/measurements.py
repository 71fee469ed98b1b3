"""What can ail a corpus, told from figures of a few hundred of its utterances.

Knows sound and text; nothing of files, manifests, models or settings. Every bound below stands
between what sound corpora gave and what damaged copies of them gave (docs/lab.md, "the doctor").
"""

import unicodedata
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigeul.sound.audio import SAMPLE_RATE, Samples

Array = npt.NDArray[np.floating[Any]]

_WINDOW, _HOP, _FFT = 400, 160, 512  # samples: 25, 10 and 32 ms
_FRAMES_PER_SECOND = SAMPLE_RATE / _HOP
_AUDIBLE = 25.0  # dB below an utterance's loud frames that still count as speech
_FAINT = -60.0  # dB of full scale: 30 steps of 16-bit audio
_FLAT = 3.0  # dB between loud and quiet frames of a steady noise; speech has 10 and more
_PITCHES = (60.0, 600.0)  # Hz
_VOICED = 0.6  # autocorrelation, of 1


@dataclass(frozen=True, eq=False)
class Measurements:
    """What is measured of an utterance."""

    id: str
    text: str
    seconds: float
    speech: float
    """seconds within 25 dB of its loud frames"""
    peak: float
    """dB of full scale"""
    contrast: float
    """dB between its loud and its quiet frames"""
    treble: float
    """dB of 4.3 to 7 kHz above 2.5 to 3.5 kHz where it is loud"""
    pitch: float
    """Hz; nan where nothing is voiced"""
    colour: Array
    """means and deviations of its log spectrum in 24 bands, where there is speech (48,)"""

    @property
    def characters(self) -> int:
        return len("".join(self.text.split()))

    @property
    def is_hangul(self) -> bool:
        """Whether its characters are syllables, by which the pace of speech can be told."""
        return sum("가" <= one <= "힣" for one in self.text) >= 0.8 * max(self.characters, 1)

    @property
    def is_silent(self) -> bool:
        return self.peak < _FAINT or self.contrast < _FLAT


def measure(name: str, text: str, samples: Samples) -> Measurements:
    """The figures of samples (N,) at 16 kHz that are said to hold this text."""
    frames = _framed(samples, _WINDOW) * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2  # (T, _FFT // 2 + 1)
    level = 10 * np.log10(power.sum(1) + 1e-12)
    quiet, loud = np.percentile(level, [10, 95])
    speech = power[level > loud - _AUDIBLE]
    hertz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)
    spectrum = power[level > loud - 20].mean(0)

    def band(low: float, high: float) -> float:
        return float(10 * np.log10(spectrum[(low <= hertz) & (hertz < high)].mean() + 1e-15))

    # Bands that grow with frequency, as the ear's do.
    edges = np.unique(np.geomspace(3, _FFT // 2 + 1, 25).round().astype(int))
    logs = np.log(np.add.reduceat(speech[:, : edges[-1]], edges[:-1], axis=1) + 1e-8)
    return Measurements(
        id=name,
        text=unicodedata.normalize("NFC", text),
        seconds=len(samples) / SAMPLE_RATE,
        speech=len(speech) / _FRAMES_PER_SECOND,
        peak=float(20 * np.log10(np.abs(samples).max() + 1e-12)),
        contrast=float(loud - quiet),
        treble=band(4300, 7000) - band(2500, 3500),
        pitch=_pitch(samples, level > loud - 20),
        colour=np.concatenate((logs.mean(0), logs.std(0))),
    )


def _framed(samples: Samples, window: int) -> Array:
    padded = np.pad(samples, (0, max(0, window - len(samples))))
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::_HOP]


def _pitch(samples: Samples, loud: npt.NDArray[np.bool_]) -> float:
    """The middle pitch of the loud frames, to within 5 %, by the autocorrelation of each."""
    window = 640
    frames = _framed(samples, window)
    frames = frames[: len(loud)][loud[: len(frames)]]
    shape = np.hanning(window)
    tapered = (frames - frames.mean(1, keepdims=True)) * shape

    def autocorrelation(rows: Array) -> Array:
        return np.fft.irfft(np.abs(np.fft.rfft(rows, 2048)) ** 2)[..., :window]

    # Divided by the window's own, without which short lags would win (Boersma 1993).
    found = autocorrelation(tapered) / autocorrelation(shape)
    found /= found[:, :1] + 1e-12
    first, last = (round(SAMPLE_RATE / hertz) for hertz in reversed(_PITCHES))
    strength = found[:, first:last]
    best = strength.max(1, initial=0.0)
    lags = first + (strength >= 0.9 * best[:, None]).argmax(1)
    voiced = best > _VOICED
    return float(np.median(SAMPLE_RATE / lags[voiced])) if voiced.any() else nan
