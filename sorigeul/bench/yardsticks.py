"""Other people's software that benchmarks compare with: libsndfile, librosa, Whisper.

The model written plainly is in `plain_las.py`. The product uses none of it.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile
import torch
from torch import Tensor

from sorigeul.bench.timing import fastest_seconds


def decoding_rate(paths: list[Path]) -> float:
    """Seconds of audio a second that libsndfile decodes, on one core."""
    seconds = sum(soundfile.info(path).duration for path in paths)
    return float(seconds) / fastest_seconds(
        lambda: [soundfile.read(path, dtype="float32") for path in paths], 3
    )


def librosa_log_mel(samples: "np.ndarray[Any, np.dtype[np.float32]]", n_mels: int) -> Any:
    """Log-mel spectrogram in dB (F, T) of one utterance (N,), as KoSpeech computed it."""
    import librosa

    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=16_000,
        n_mels=n_mels,
        n_fft=400,
        hop_length=160,
        window="hamming",
        pad_mode="constant",
    )
    return librosa.power_to_db(mel)


class Whisper:
    """OpenAI's Whisper by `transformers`, with random weights, which do not change its speed."""

    SIZES: ClassVar = {"tiny": (384, 4, 6), "base": (512, 6, 8)}  # width, layers, heads

    def __init__(self, size: str, device: str) -> None:
        import transformers

        width, layers, heads = self.SIZES[size]
        config = transformers.WhisperConfig(
            d_model=width,
            encoder_layers=layers,
            decoder_layers=layers,
            encoder_attention_heads=heads,
            decoder_attention_heads=heads,
            encoder_ffn_dim=4 * width,
            decoder_ffn_dim=4 * width,
        )
        self.device = device
        extractor: Any = transformers.WhisperFeatureExtractor
        self.extract = extractor()
        model: Any = transformers.WhisperForConditionalGeneration
        self.model = model(config).eval().to(device)

    @torch.no_grad()
    def recognize(self, samples: "np.ndarray[Any, np.dtype[np.float32]]", tokens: int) -> Tensor:
        """Ids of exactly so many tokens, found greedily, of a recording (N,) of up to 30 s."""
        features = self.extract(samples, sampling_rate=16_000, return_tensors="pt").input_features
        ids: Tensor = self.model.generate(
            features.to(self.device),
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            num_beams=1,
            do_sample=False,
        )
        return ids
