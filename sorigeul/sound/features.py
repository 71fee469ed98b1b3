"""Log-mel features: waveforms to frames, with normalisation and time reversal.

Training and recognition compute their features here. Does not know about files, text or models.

Shapes: B utterances, N samples, T frames, F mel bands. Every padded tensor comes with its lengths.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.frame_normalization import normalized_frames
from sorigeul.sound.mel import mel_filter_bank

_WINDOWS: dict[str, Callable[[int], Tensor]] = {
    "hamming": torch.hamming_window,
    "hann": torch.hann_window,
    "blackman": torch.blackman_window,
    "rectangular": torch.ones,
}


class LogMel(nn.Module):
    """Log-mel features of a batch of waveforms; padding an utterance does not change its features.

    The mel spectrogram equals ``librosa.feature.melspectrogram`` with the same settings: power 2,
    centred frames padded with zeros, Slaney's mel scale and area normalisation.
    """

    window: Tensor
    mel_filters: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        window = _WINDOWS[config.window](config.window_samples)
        self.register_buffer("window", window, persistent=False)
        filters = torch.from_numpy(mel_filter_bank(config.n_mels, config.n_fft))
        self.register_buffer("mel_filters", filters, persistent=False)

    def mel_spectrogram(self, waveforms: Tensor) -> Tensor:
        """Waveforms (B, N) -> mel power (B, T, F)."""
        spectrum = torch.stft(
            waveforms,
            n_fft=self.config.n_fft,
            hop_length=self.config.hop_length,
            win_length=self.config.window_samples,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return power.transpose(1, 2) @ self.mel_filters

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, N), lengths (B,) in samples -> features (B, T, F), lengths (B,) in frames.

        Frames after the end of an utterance are zero, which is the mean of normalised features.
        """
        # Half precision loses the quiet bands. This stage is cheap, so it stays in float32.
        with torch.autocast(waveforms.device.type, enabled=False):
            mel = self.mel_spectrogram(waveforms.float())
        features, frames = normalized_frames(mel, lengths, self.config)
        return features, frames
