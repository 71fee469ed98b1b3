"""Features without PyTorch equal those with it, and padding changes neither."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers import tones

from sorigeul.sound.array_features import ArrayLogMel
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import LogMel

SETTINGS: list[dict[str, Any]] = [
    {},
    {"window": "hann", "normalization": "speech", "n_mels": 40},
    {"window": "blackman", "n_fft": 512, "frame_length": 20.0, "input_reverse": True},
    {"window": "rectangular", "stride": 12.5, "normalization": "none"},
]
RECORDINGS = [
    *(tones.synthesize(text, number) for number, text in enumerate(("가나다라", "라", "나다"))),
    np.zeros(3000, np.float32),
    0.001 * np.random.default_rng(0).standard_normal(700).astype(np.float32),
    np.zeros(1, np.float32),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_features_are_those_of_pytorch(settings: dict[str, Any]) -> None:
    config = FeatureConfig(**settings)
    lengths = np.array([len(samples) for samples in RECORDINGS])
    waveforms = np.zeros((len(RECORDINGS), lengths.max() + 321), np.float32)
    for row, samples in zip(waveforms, RECORDINGS, strict=True):
        row[: len(samples)] = samples
    features, frames = ArrayLogMel(config)(waveforms, lengths)
    expected, expected_frames = LogMel(config)(
        torch.from_numpy(waveforms), torch.from_numpy(lengths)
    )
    assert features.dtype == np.float32
    assert frames.tolist() == expected_frames.tolist()
    np.testing.assert_allclose(features, expected.numpy(), rtol=1e-4, atol=1e-4)
    assert np.abs(features).max() > 1
    for row, samples in enumerate(RECORDINGS):
        alone, (count,) = ArrayLogMel(config)(samples[None], lengths[row : row + 1])
        np.testing.assert_allclose(features[row, :count], alone[0, :count], rtol=0, atol=1e-5)
        assert not features[row, count:].any()
