"""What a listener hears: log-mel features, or what a pretrained one was trained on.

Training and recognition compute their features here. Does not know about files, text or models.

Shapes: B utterances, N samples, T frames, F mel bands. Every padded tensor comes with its lengths.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.frame_normalization import normalized_frames, valid_mask
from sorigeul.sound.mel import mel_filter_bank

_WINDOWS: dict[str, Callable[[int], Tensor]] = {
    "hamming": torch.hamming_window,
    "hann": torch.hann_window,
    "blackman": torch.blackman_window,
    "rectangular": torch.ones,
}
WHISPER_SECONDS = 30
"""what Whisper hears at a time; a shorter recording is followed by silence"""
_WHISPER_DEPTH = 8.0  # powers of ten below the loudest band, where Whisper's features end
_LOG_FLOOR = 1e-10


class Features(nn.Module):
    """Features of a batch of waveforms; padding an utterance does not change its features.

    ``forward``: waveforms (B, N), lengths (B,) in samples -> features (B, T, F), lengths (B,).
    """

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config


def make_features(config: FeatureConfig) -> Features:
    """The features that a configuration describes."""
    kinds = {"log-mel": LogMel, "waveform": Waveform, "whisper": WhisperLogMel}
    return kinds[config.kind](config)


class LogMel(Features):
    """Log-mel features.

    The mel spectrogram equals ``librosa.feature.melspectrogram`` with the same settings: power 2,
    centred frames padded with zeros, Slaney's mel scale and area normalisation.
    """

    window: Tensor
    mel_filters: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__(config)
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


class Waveform(Features):
    """The samples themselves, one in each frame (B, N, 1), as wav2vec 2.0 and HuBERT hear them.

    With `normalization` utterance they have mean 0 and deviation 1. They are zero after the end.
    """

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, N), lengths (B,) in samples -> the same (B, N, 1), lengths (B,)."""
        samples, valid = waveforms.float(), valid_mask(lengths, waveforms.shape[1])
        if self.config.normalization == "utterance":
            count = lengths.unsqueeze(1)
            centred = samples - (samples * valid).sum(1, keepdim=True) / count
            variance = (centred * valid).square().sum(1, keepdim=True) / count
            # The constant of transformers' Wav2Vec2FeatureExtractor.
            samples = centred / (variance + 1e-7).sqrt()
        return (samples * valid).unsqueeze(2), lengths


class WhisperLogMel(Features):
    """Log-mel features of 30 s at a time, silence after the end included, as Whisper hears them.

    Radford et al. 2022, section 2.2. Equal to transformers' `WhisperFeatureExtractor`. The silence
    is part of what the model was trained on; its value depends on how loud the utterance is.
    """

    window: Tensor
    mel_filters: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__(config)
        self.register_buffer("window", torch.hann_window(config.n_fft), persistent=False)
        filters = torch.from_numpy(mel_filter_bank(config.n_mels, config.n_fft))
        self.register_buffer("mel_filters", filters, persistent=False)

    @torch.no_grad()
    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, N), lengths (B,) in samples -> features (B, 3000 P, F), lengths (B,).

        P is the number of pieces of 30 s. The lengths are those of what was said, in frames.
        """
        piece, hop = WHISPER_SECONDS * SAMPLE_RATE, self.config.hop_length
        batch, size = waveforms.shape
        silence = -size % piece if size else piece
        samples = nn.functional.pad(waveforms.float(), (0, silence)).reshape(-1, piece)
        with torch.autocast(waveforms.device.type, enabled=False):
            spectrum = torch.stft(
                samples, self.config.n_fft, hop, window=self.window, return_complex=True
            )
            power = spectrum[..., :-1].real.square() + spectrum[..., :-1].imag.square()
            mel = power.transpose(1, 2) @ self.mel_filters
        decades = mel.clamp_min(_LOG_FLOOR).log10()
        loudest = decades.amax((1, 2), keepdim=True)
        features = torch.maximum(decades, loudest - _WHISPER_DEPTH) / 4 + 1
        return features.reshape(batch, -1, self.config.n_mels), (lengths // hop).clamp_min(1)
