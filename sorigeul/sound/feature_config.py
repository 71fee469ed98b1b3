"""How features are computed: the settings, which need no PyTorch."""

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import tyro

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import Range, check_ranges
from sorigeul.sound.audio import SAMPLE_RATE

Window = Literal["hamming", "hann", "blackman", "rectangular"]
Normalization = Literal["utterance", "speech", "none"]
FeatureKind = Literal["log-mel", "waveform", "whisper"]

MILLISECONDS = Range(0, 1000, above=True)


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
    kind: Annotated[FeatureKind, tyro.conf.Fixed, tyro.conf.Suppress] = "log-mel"
    """follows from the listener. waveform: the samples themselves; whisper: log-mel features as
    Whisper has them. Of the other settings, `normalization` holds for a waveform, and `n_mels` for
    Whisper"""

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
        if self.window not in get_args(Window):
            raise UserError(f"window '{self.window}' is none of {', '.join(get_args(Window))}")
        if self.kind not in get_args(FeatureKind):
            raise UserError(f"kind '{self.kind}' is none of {', '.join(get_args(FeatureKind))}")
        if self.normalization not in get_args(Normalization):
            choices = ", ".join(get_args(Normalization))
            raise UserError(f"normalization '{self.normalization}' is none of {choices}")

    @property
    def window_samples(self) -> int:
        """Length of the analysis window in samples."""
        return round(self.frame_length * SAMPLE_RATE / 1000)

    @property
    def frames_per_second(self) -> float:
        """Frame rate of the features in Hz; of a waveform, that of frames of 10 ms."""
        return SAMPLE_RATE / self.hop_length

    @property
    def steps_per_second(self) -> float:
        """How long a second is in features (B, T, F): in frames, or in samples of a waveform."""
        return SAMPLE_RATE if self.kind == "waveform" else self.frames_per_second

    @property
    def width(self) -> int:
        """F of features (B, T, F)."""
        return 1 if self.kind == "waveform" else self.n_mels
