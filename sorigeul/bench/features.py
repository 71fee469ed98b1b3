"""Measures the package against yardsticks in the same run, on the same work.

A figure is a number, its unit, what it is compared with and the ratio to it (above 1: better). The
suites can be run alone; the report rewrites the tables of `BENCHMARKS.md` and draws its plots.
"""

from collections.abc import Iterator

import numpy as np
import torch

from sorigeul.bench.measurements import Measurement, Target
from sorigeul.bench.synthetic import synthetic_speech
from sorigeul.bench.yardsticks import (
    fastest_seconds,
    librosa_log_mel,
)
from sorigeul.sound.features import FeatureConfig, LogMel

# Features.


def measure_features() -> Iterator[Measurement]:
    """Log-mel spectrograms on one core, against librosa's, an utterance at a time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds, config = 5, FeatureConfig(normalization="none")
        samples = synthetic_speech(seconds)
        ours = LogMel(config)
        waveform, length = torch.from_numpy(samples)[None], torch.tensor([len(samples)])
        expected = librosa_log_mel(samples, config.n_mels).T
        found = ours(waveform, length)[0][0].numpy() * (10 / np.log(10))  # nepers to decibels
        if not np.allclose(found, expected, atol=1e-2):
            raise RuntimeError("our features are not librosa's")
        normalized = LogMel(FeatureConfig())
        took = fastest_seconds(lambda: normalized(waveform, length), 20)
        theirs = fastest_seconds(lambda: librosa_log_mel(samples, config.n_mels), 20)
    finally:
        torch.set_num_threads(threads)
    rate = seconds / took
    yield Measurement(
        "features, one core",
        rate,
        "times real time",
        f"librosa: {seconds / theirs:.0f} times real time",
        theirs / took,
        (
            Target("value", "at least", 2000, "the Fourier transform"),
            Target("ratio", "at least", 15, "both are near the time of the Fourier transform"),
        ),
    )
