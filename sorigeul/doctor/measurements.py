"""Acoustic measurements of one utterance: seconds of speech, level, bandwidth, pitch, spectra.

Does not know about files, manifests, models or settings.
"""

import unicodedata
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.recording_quality import RecordingQuality
from sorigeul.sound.surrounding_silence import surrounding_silence
from sorigeul.text.jamo import is_syllable

Array = npt.NDArray[np.floating[Any]]

_WINDOW, _HOP, _FFT = 400, 160, 512  # samples: 25, 10 and 32 ms
_FRAMES_PER_SECOND = SAMPLE_RATE / _HOP
_SPEECH_RANGE = 25.0  # dB below the loud frames of an utterance that still count as speech
_LOUD_RANGE = 20.0  # dB below the loud frames that count as loud themselves
_BANDS = 24
_FAINTEST = 12.0  # below the loudest band of an utterance, in log power (52 dB)
_PAUSE_RANGE = 35.0  # dB below the loud frames; what is quieter is left out of the alignment
_HOPS_PER_FRAME = 3  # of the alignment: 30 ms, as short as a letter of fast speech
_SLOPE_WEIGHT = 2.0  # of slopes against levels, which vary more
_PITCH_WINDOW = 640  # samples: 40 ms
_PITCH_RANGE = (60.0, 600.0)  # Hz
_VOICED = 0.6  # autocorrelation, of 1


@dataclass(frozen=True, eq=False)
class Measurements:
    """What is measured of one utterance."""

    id: str
    text: str
    """NFC"""
    speech: float
    """seconds within 25 dB of its loud frames"""
    silence: float
    """seconds without speech at the beginning or at the end, whichever are more"""
    quality: RecordingQuality
    pitch: float
    """Hz; nan if nothing is voiced"""
    frames: Array
    """for forced alignment: log power in mel-like bands every 30 ms of speech, its mean of the
    utterance subtracted, and its slope over time (T, D)"""
    speaker: str = ""

    @property
    def characters(self) -> int:
        """Characters of the text, spaces left out."""
        return len("".join(self.text.split()))

    @property
    def rate(self) -> float:
        """Characters a second of speech."""
        return self.characters / max(self.speech, 1 / _FRAMES_PER_SECOND)

    @property
    def is_hangul(self) -> bool:
        """Whether its characters are Hangul syllables, so that they measure the speaking rate."""
        syllables = sum(map(is_syllable, self.text))
        return syllables >= 0.8 * max(self.characters, 1)


def measure(name: str, text: str, samples: Samples, speaker: str = "") -> Measurements:
    """Measure the utterance `name`: samples (N,) at 16 kHz whose transcript is `text`."""
    frames = _frames(samples, _WINDOW) * np.hanning(_WINDOW)
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2  # (T, _FFT // 2 + 1)
    level = 10 * np.log10(power.sum(1) + 1e-12)
    loud_level = np.percentile(level, 95)
    is_loud = level > loud_level - _LOUD_RANGE
    is_speech = level > loud_level - _SPEECH_RANGE
    return Measurements(
        id=name,
        text=unicodedata.normalize("NFC", text),
        speech=int(is_speech.sum()) / _FRAMES_PER_SECOND,
        silence=max(surrounding_silence(samples)),
        quality=RecordingQuality.of(samples),
        pitch=_median_pitch(samples, is_loud),
        frames=_alignment_frames(power, level - loud_level),
        speaker=speaker,
    )


def _alignment_frames(power: Array, level: Array) -> Array:
    """Frames for forced alignment from power spectra (T, F) and levels below the loud ones (T,)."""
    speech = np.flatnonzero(level > -_SPEECH_RANGE)
    kept = np.flatnonzero(level > -_PAUSE_RANGE)
    kept = kept[(kept >= speech[0]) & (kept <= speech[-1])]
    # Bands that widen with frequency, as those of the ear do.
    edges = np.unique(np.geomspace(3, _FFT // 2 + 1, _BANDS + 1).round().astype(int))
    bands = np.log(np.add.reduceat(power[kept, : edges[-1]], edges[:-1], axis=1) + 1e-8)
    bands = np.maximum(bands, bands.max() - _FAINTEST)
    starts = np.arange(0, max(len(bands) - _HOPS_PER_FRAME, 0) + 1, _HOPS_PER_FRAME)
    counts = np.diff([*starts, len(bands)])
    frames = np.add.reduceat(bands, starts, axis=0) / counts[:, None]
    slopes = np.gradient(frames, axis=0) if len(frames) > 1 else np.zeros_like(frames)
    joined = np.concatenate((frames - frames.mean(0), _SLOPE_WEIGHT * slopes), axis=1)
    return joined.astype(np.float32)


def _frames(samples: Samples, window: int) -> Array:
    """Samples (N,) -> overlapping frames (T, window), one every 10 ms."""
    padded = np.pad(samples, (0, max(0, window - len(samples))))
    return np.lib.stride_tricks.sliding_window_view(padded, window)[::_HOP]


def _median_pitch(samples: Samples, is_loud: npt.NDArray[np.bool_]) -> float:
    """Median pitch in Hz of the loud frames, to within 5 %, from the autocorrelation of each.

    nan if none of them is voiced.
    """
    frames = _frames(samples, _PITCH_WINDOW)
    frames = frames[: len(is_loud)][is_loud[: len(frames)]]
    window = np.hanning(_PITCH_WINDOW)
    windowed = (frames - frames.mean(1, keepdims=True)) * window

    def autocorrelation(rows: Array) -> Array:
        return np.fft.irfft(np.abs(np.fft.rfft(rows, 2048)) ** 2)[..., :_PITCH_WINDOW]

    # Divided by that of the window, without which short lags would win (Boersma 1993).
    correlation = autocorrelation(windowed) / autocorrelation(window)
    correlation /= correlation[:, :1] + 1e-12
    first_lag, last_lag = (round(SAMPLE_RATE / hertz) for hertz in reversed(_PITCH_RANGE))
    strength = correlation[:, first_lag:last_lag]
    strongest = strength.max(1, initial=0.0)
    lags = first_lag + (strength >= 0.9 * strongest[:, None]).argmax(1)
    is_voiced = strongest > _VOICED
    return float(np.median(SAMPLE_RATE / lags[is_voiced])) if is_voiced.any() else nan
