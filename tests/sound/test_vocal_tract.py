"""Vocal tract length perturbation: where formants go, and what stays."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import LogMel
from sorigeul.sound.mel import mel_band_centres
from sorigeul.sound.vocal_tract import band_positions, perturb_vocal_tract

BANDS = 80


def tone(hertz: float) -> torch.Tensor:
    """Log-mel features (1, T, F) of half a second of a tone, not normalised."""
    times = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    samples = torch.tensor(np.sin(2 * np.pi * hertz * times), dtype=torch.float32)
    log_mel = LogMel(FeatureConfig(n_mels=BANDS))
    return log_mel.mel_spectrogram(samples.unsqueeze(0)).clamp_min(1e-10).log()


@pytest.mark.parametrize("factor", [0.88, 0.95, 1.07, 1.12])
@pytest.mark.parametrize("hertz", [500.0, 1500.0, 3000.0])
def test_a_tone_moves_to_its_frequency_over_the_factor(factor: float, hertz: float) -> None:
    features = tone(hertz)
    positions = band_positions(torch.tensor([factor], dtype=torch.float64), BANDS)[0]
    spectrum = features[0, 20].numpy()
    warped = np.interp(positions.numpy(), np.arange(BANDS), spectrum)
    centres = mel_band_centres(BANDS)
    assert centres[warped.argmax()] == pytest.approx(hertz / factor, rel=0.06)


@given(st.floats(0.8, 1.2))
def test_bands_keep_their_order_and_the_ends_stay(factor: float) -> None:
    positions = band_positions(torch.tensor([factor], dtype=torch.float64), BANDS)[0]
    assert (positions.diff() >= 0).all()
    assert positions[-1] == pytest.approx(BANDS - 1, abs=1.0)
    assert positions.min() >= 0
    assert positions.max() <= BANDS - 1


def test_a_factor_of_one_changes_nothing() -> None:
    positions = band_positions(torch.ones(1, dtype=torch.float64), BANDS)[0]
    torch.testing.assert_close(positions, torch.arange(BANDS, dtype=torch.float64))


def test_only_the_chosen_change_and_a_seed_repeats_them() -> None:
    features = torch.randn(4, 30, BANDS)
    chosen = torch.tensor([True, False, True, False])
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(perturb_vocal_tract(features, chosen, 0.1))
    assert torch.equal(*results)
    changed = (results[0] - features).abs().amax((1, 2)) > 1e-4
    assert changed.tolist() == chosen.tolist()


def test_silence_and_padding_stay() -> None:
    features = torch.full((1, 5, BANDS), -math.pi)
    chosen = torch.ones(1, dtype=torch.bool)
    torch.testing.assert_close(perturb_vocal_tract(features, chosen, 0.2), features)
    assert not perturb_vocal_tract(torch.zeros(1, 5, BANDS), chosen, 0.2).any()
