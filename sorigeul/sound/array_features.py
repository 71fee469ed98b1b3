"""The log-mel features of `features.py` without PyTorch, for what runs where there is none.

Equal to them within 1e-4. B utterances, N samples, T frames, F mel bands.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigeul.base.arrays import inference
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.frame_normalization import normalized_frames
from sorigeul.sound.mel import mel_filter_bank

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_WINDOWS: dict[str, Callable[[int], npt.NDArray[Any]]] = {
    "hamming": np.hamming,
    "hann": np.hanning,
    "blackman": np.blackman,
    "rectangular": np.ones,
}


class ArrayLogMel:
    """As `features.LogMel`, from arrays of NumPy."""

    def __init__(self, config: FeatureConfig) -> None:
        self.config = config
        # Periodic, as PyTorch's windows are: without the last sample of a symmetric one.
        window = _WINDOWS[config.window](config.window_samples + 1)[:-1]
        left = (config.n_fft - config.window_samples) // 2
        right = config.n_fft - config.window_samples - left
        self._window = np.pad(window, (left, right)).astype(np.float32)
        self._mel_filters = mel_filter_bank(config.n_mels, config.n_fft)

    @inference()
    def __call__(self, waveforms: Floats, lengths: Integers) -> tuple[Floats, Integers]:
        """Waveforms (B, N), lengths (B,) in samples -> features (B, T, F), lengths in frames."""
        features, frames = normalized_frames(self._mel_power(waveforms), lengths, self.config)
        return features.astype(np.float32, copy=False), frames

    def _mel_power(self, waveforms: Floats) -> Floats:
        """Waveforms (B, N) -> mel power (B, T, F)."""
        half = self.config.n_fft // 2
        padded = np.pad(waveforms, ((0, 0), (half, half)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.config.n_fft, axis=1)
        frames = windows[:, :: self.config.hop_length] * self._window
        spectrum: Any = np.fft.rfft(frames, axis=-1)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        return np.asarray(power.astype(np.float32) @ self._mel_filters, np.float32)
