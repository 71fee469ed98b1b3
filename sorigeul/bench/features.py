"""Benchmark suite "features": log-mel spectrograms on one core, against librosa's."""

from collections.abc import Iterator

import numpy as np
import torch

from sorigeul.bench.measurements import Measurement, Target
from sorigeul.bench.synthetic import synthetic_speech
from sorigeul.bench.timing import fastest_seconds
from sorigeul.bench.yardsticks import librosa_log_mel
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import LogMel


def measure_features() -> Iterator[Measurement]:
    """Measure log-mel spectrograms of an utterance of 5 s, one at a time.

    Raises RuntimeError if ours and librosa's differ.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds, config = 5, FeatureConfig(normalization="none")
        samples = synthetic_speech(seconds)
        waveform, length = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
        in_nepers = LogMel(config)(waveform, length)[0][0].numpy()
        in_decibels = in_nepers * (10 / np.log(10))
        if not np.allclose(in_decibels, librosa_log_mel(samples, config.n_mels).T, atol=1e-2):
            raise RuntimeError("our features are not librosa's")
        normalized = LogMel(FeatureConfig())
        our_seconds = fastest_seconds(lambda: normalized(waveform, length), 20)
        librosa_seconds = fastest_seconds(lambda: librosa_log_mel(samples, config.n_mels), 20)
    finally:
        torch.set_num_threads(threads)
    yield Measurement(
        name="features, one core",
        value=seconds / our_seconds,
        unit="times real time",
        yardstick=f"librosa: {seconds / librosa_seconds:.0f} times real time",
        ratio=librosa_seconds / our_seconds,
        targets=(
            Target("value", "at least", 2000, "the Fourier transform"),
            Target("ratio", "at least", 15, "both are near the time of the Fourier transform"),
        ),
    )
