"""Log-mel features: waveforms to frames, with normalisation and time reversal.

Training and recognition compute their features here. Does not know about files, text or models.

Shapes: B utterances, N samples, T frames, F mel bands. Every padded tensor comes with its lengths.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from torch import Tensor, nn

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import Range, check_ranges
from sorigeul.sound.audio import SAMPLE_RATE

Window = Literal["hamming", "hann", "blackman", "rectangular"]
Normalization = Literal["utterance", "speech", "none"]

MILLISECONDS = Range(0, 1000, above=True)
_WINDOWS: dict[str, Callable[[int], Tensor]] = {
    "hamming": torch.hamming_window,
    "hann": torch.hann_window,
    "blackman": torch.blackman_window,
    "rectangular": torch.ones,
}
_LOG_FLOOR = 1e-10  # librosa's power_to_db floor: digital silence stays finite
_SPEECH_DEPTH = 3.5 * math.log(10)  # 35 dB: softer than the loudest frame, it is no speech
_FLOOR_DEPTH = 6 * math.log(10)  # 60 dB below the loudest band
_STD_FLOOR = 1e-2  # a constant band carries no information: its rounding noise stays small


@dataclass(frozen=True)
class FeatureConfig:
    """How features are computed, in training and in recognition. Defaults are the seed's.

    `stride` (ms) and `hop_length` (samples) are the same quantity: set one of them, and the other
    follows.
    """

    frame_length: Annotated[float, MILLISECONDS] = 25.0
    """length of the analysis window in milliseconds"""
    stride: Annotated[float, MILLISECONDS] = 10.0
    """time between two frames in milliseconds"""
    n_fft: Annotated[int, Range(2, 65_536)] = 400
    """size of the Fourier transform; a shorter window is padded to it"""
    hop_length: Annotated[int, Range(1, SAMPLE_RATE)] = 160
    """time between two frames in samples at 16 kHz"""
    n_mels: Annotated[int, Range(4, 32_768)] = 80
    """number of mel bands"""
    window: Window = "hamming"
    """shape of the analysis window"""
    normalization: Normalization = "utterance"
    """speech: each band gets mean 0 and deviation 1 over the frames that are loud enough for
    speech, so that silence beside it changes nothing; utterance: over all frames; none: plain
    log-mel"""
    input_reverse: bool = False
    """flag indication whether to reverse input feature or not"""

    def __post_init__(self) -> None:
        check_ranges(self)
        hop_of_stride = round(self.stride * SAMPLE_RATE / 1000)
        if self.hop_length != hop_of_stride:
            if self.hop_length == FeatureConfig.hop_length:
                object.__setattr__(self, "hop_length", hop_of_stride)
            elif self.stride == FeatureConfig.stride:
                object.__setattr__(self, "stride", self.hop_length * 1000 / SAMPLE_RATE)
            else:
                raise UserError(
                    f"stride {self.stride:g} ms is {hop_of_stride} samples, but hop_length is "
                    f"{self.hop_length}: set one of them, the other follows"
                )
        if self.hop_length < 1 or self.window_samples < 2:
            raise UserError("stride and frame_length must be positive milliseconds")
        if self.window_samples > self.n_fft:
            raise UserError(
                f"frame_length {self.frame_length:g} ms is {self.window_samples} samples and does "
                f"not fit n_fft {self.n_fft}: raise n_fft or shorten the frame"
            )
        if self.n_fft % 2:
            raise UserError(f"n_fft {self.n_fft} must be even: {self.n_fft + 1} serves as well")
        if not 4 <= self.n_mels <= self.n_fft // 2:
            raise UserError(f"n_mels {self.n_mels} must lie between 4 and {self.n_fft // 2}")
        if self.window not in _WINDOWS:
            raise UserError(f"window '{self.window}' is none of {', '.join(_WINDOWS)}")
        if self.normalization not in get_args(Normalization):
            choices = ", ".join(get_args(Normalization))
            raise UserError(f"normalization '{self.normalization}' is none of {choices}")

    @property
    def window_samples(self) -> int:
        """Length of the analysis window in samples."""
        return round(self.frame_length * SAMPLE_RATE / 1000)

    @property
    def frames_per_second(self) -> float:
        """Frame rate of the features in Hz."""
        return SAMPLE_RATE / self.hop_length


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
        filters = mel_filter_bank(config.n_mels, config.n_fft)
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
        features = mel.clamp_min_(_LOG_FLOOR).log_()
        frames = torch.div(lengths, self.config.hop_length, rounding_mode="floor") + 1
        valid = valid_mask(frames, features.shape[1]).unsqueeze(-1)
        if self.config.normalization == "utterance":
            features = _normalize(features, valid)
        elif self.config.normalization == "speech":
            features, loud = _loud_frames(features, valid)
            features = _normalize(features, loud) * valid
        features = features.masked_fill_(~valid, 0.0)
        if self.config.input_reverse:
            features = reverse(features, frames)
        return features, frames


def valid_mask(lengths: Tensor, size: int) -> Tensor:
    """Lengths (B,) -> boolean mask (B, size), true for the valid frames of each utterance."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def reverse(features: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the valid frames of (B, T, F) in time; the padding stays where it is."""
    time = torch.arange(features.shape[1], device=features.device)
    index = lengths.unsqueeze(1) - 1 - time
    index = torch.where(index >= 0, index, time)
    return features.gather(1, index.unsqueeze(-1).expand_as(features))


def _normalize(features: Tensor, counted: Tensor) -> Tensor:
    """Scale each band (B, T, F) to mean 0 and standard deviation 1 over the `counted` frames.

    ``counted``: boolean (B, T, 1). The other frames are scaled alike.
    """
    count = counted.sum(1, keepdim=True)
    mean = (features * counted).sum(1, keepdim=True) / count
    centred = features - mean
    deviation = ((centred * counted).square().sum(1, keepdim=True) / count).sqrt_()
    return centred / deviation.clamp_min_(_STD_FLOOR)


def _loud_frames(features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Log-mel (B, T, F), and which of its ``valid`` frames are loud enough for speech (B, T, 1).

    What is far below the loudest band is raised to one floor: in digital silence, or in the
    rounding noise of a quiet recording, differences mean nothing.
    """
    loudness = features.logsumexp(2, keepdim=True).masked_fill(~valid, -torch.inf)
    loudest = loudness.amax(1, keepdim=True)
    floor = features.masked_fill(~valid, -torch.inf).amax((1, 2), keepdim=True) - _FLOOR_DEPTH
    return torch.maximum(features, floor), loudness > loudest - _SPEECH_DEPTH


def mel_filter_bank(n_mels: int, n_fft: int) -> Tensor:
    """Triangular filters (n_fft // 2 + 1, n_mels) of equal area from 0 Hz to the Nyquist frequency.

    Mel scale of Slaney, "Auditory Toolbox", 1998: linear below 1 kHz, logarithmic above.
    """
    frequencies = torch.linspace(0, SAMPLE_RATE / 2, n_fft // 2 + 1, dtype=torch.float64)
    edges = _mel_band_edges(n_mels)
    rising = (frequencies[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies[:, None]) / (edges[2:] - edges[1:-1])
    triangles = torch.minimum(rising, falling).clamp_min(0)
    return (triangles * 2 / (edges[2:] - edges[:-2])).float()


def mel_band_centres(n_mels: int) -> Tensor:
    """The frequency in Hz at the peak of each of these filters (F,), float64."""
    return _mel_band_edges(n_mels)[1:-1]


def _mel_band_edges(n_mels: int) -> Tensor:
    """Where the filters begin, peak and end: each begins at the peak of the one before."""
    top = _hertz_to_mel(SAMPLE_RATE / 2)
    return _mel_to_hertz(torch.linspace(0, top, n_mels + 2, dtype=torch.float64))


_LINEAR_HERTZ_PER_MEL = 200 / 3
_LOG_START_HERTZ = 1000.0
_LOG_START_MEL = _LOG_START_HERTZ / _LINEAR_HERTZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _LOG_START_HERTZ:
        return hertz / _LINEAR_HERTZ_PER_MEL
    return _LOG_START_MEL + math.log(hertz / _LOG_START_HERTZ) / _LOG_STEP


def _mel_to_hertz(mel: Tensor) -> Tensor:
    logarithmic = _LOG_START_HERTZ * torch.exp(_LOG_STEP * (mel - _LOG_START_MEL))
    return torch.where(mel < _LOG_START_MEL, mel * _LINEAR_HERTZ_PER_MEL, logarithmic)
