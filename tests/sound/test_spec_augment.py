"""SpecAugment: where the masks are, how wide they get, what they never touch; refused settings."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import LogMel
from sorigeul.sound.spec_augment import SpecAugmentConfig, spec_augment

# No limits on time: the machine may be slow or busy.
untimed = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=60,
    derandomize=True,
)

DEFAULT = SpecAugmentConfig()
FREQUENCY_ONLY = SpecAugmentConfig(time_masks=0)
TIME_ONLY = SpecAugmentConfig(frequency_masks=0)
ONE_FREQUENCY_MASK = SpecAugmentConfig(frequency_masks=1, time_masks=0)
ONE_TIME_MASK = SpecAugmentConfig(frequency_masks=0, time_masks=1)


def noise_features(lengths: list[int], bands: int = 20, frames: int = 0) -> tuple[Tensor, Tensor]:
    """Features (B, T, F) without a value that equals its band's mean, zero after each length."""
    features = 5 + torch.randn(len(lengths), max(frames, *lengths, 0), bands)
    for row, length in enumerate(lengths):
        features[row, length:] = 0.0
    return features, torch.tensor(lengths)


def mask_all(
    features: Tensor,
    lengths: Tensor,
    config: SpecAugmentConfig = DEFAULT,
    frames_per_second: float = 100.0,
) -> Tensor:
    """The features with masks in every utterance."""
    chosen = torch.ones(len(features), dtype=torch.bool)
    return spec_augment(features, lengths, chosen, config, frames_per_second)


def test_masked_values_are_the_mean_of_their_band() -> None:
    torch.manual_seed(4)
    features, lengths = noise_features([60, 90])
    masked = mask_all(features, lengths)
    changed = masked != features
    for row, length in enumerate(lengths.tolist()):
        assert changed[row].any()
        mean = features[row, :length].mean(0).expand_as(features[row])
        torch.testing.assert_close(masked[row][changed[row]], mean[changed[row]])


def test_masked_values_of_normalised_features_are_zero() -> None:
    torch.manual_seed(4)
    waveforms, samples = 0.1 * torch.randn(2, 16_000), torch.tensor([16_000, 12_000])
    waveforms[1, 12_000:] = 0.0
    features, lengths = LogMel(FeatureConfig())(waveforms, samples)
    masked = mask_all(features, lengths)
    assert (masked != features).any()
    assert masked[masked != features].abs().max() < 1e-5


def test_only_the_chosen_utterances_change() -> None:
    torch.manual_seed(4)
    features, lengths = noise_features([60, 60, 60])
    chosen = torch.tensor([True, False, True])
    changed = spec_augment(features, lengths, chosen, DEFAULT) != features
    assert changed.flatten(1).any(1).tolist() == [True, False, True]


def test_masks_cover_whole_bands_and_whole_frames() -> None:
    torch.manual_seed(4)
    features, lengths = noise_features([60], frames=70)
    bands = (mask_all(features, lengths, FREQUENCY_ONLY) != features)[0, :60]
    times = (mask_all(features, lengths, TIME_ONLY) != features)[0, :60]
    assert bands.any()
    assert torch.equal(bands, bands[:1].expand_as(bands))
    assert times.any()
    assert torch.equal(times, times[:, :1].expand_as(times))


@untimed
@given(st.lists(st.integers(5, 50), min_size=1, max_size=4), st.integers(0, 2**31))
def test_masks_leave_most_of_a_short_utterance_and_all_padding(
    lengths: list[int], seed: int
) -> None:
    torch.manual_seed(seed)
    features, frames = noise_features(lengths, frames=55)
    masked = mask_all(features, frames)
    changed = masked != features
    for row, length in enumerate(lengths):
        assert not changed[row, length:].any()
        masked_frames = changed[row, :length].all(1).sum()
        masked_bands = changed[row, :length].all(0).sum()
        assert masked_frames <= 0.3 * length
        assert masked_bands <= 0.6 * features.shape[2]


@pytest.mark.parametrize("frames_per_second", [100.0, 80.0])
def test_a_time_mask_is_at_most_as_long_as_its_seconds(frames_per_second: float) -> None:
    torch.manual_seed(4)
    features, lengths = noise_features([400] * 300, bands=4)
    masked = mask_all(features, lengths, ONE_TIME_MASK, frames_per_second)
    widths = (masked != features).all(2).sum(1)
    # Uniform from 0 to 0.4 s, both included.
    assert int(widths.max()) == 0.4 * frames_per_second
    assert int(widths.min()) == 0


def test_masks_take_every_width_and_reach_both_ends() -> None:
    torch.manual_seed(4)
    features, lengths = noise_features([40] * 600)
    bands = (mask_all(features, lengths, ONE_FREQUENCY_MASK) != features).all(1)
    times = (mask_all(features, lengths, ONE_TIME_MASK) != features).all(2)
    assert set(bands.sum(1).tolist()) == set(range(7))  # 0.3 of 20 bands
    assert set(times.sum(1).tolist()) == set(range(7))  # 0.15 of 40 frames
    assert bands.any(0).all()
    assert times.any(0).all()


def test_a_seed_gives_the_same_masks() -> None:
    features, lengths = noise_features([60, 50])
    masked = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masked.append(mask_all(features, lengths))
    assert torch.equal(masked[0], masked[1])
    assert not torch.equal(masked[0], masked[2])


def test_without_masks_nothing_changes() -> None:
    features, lengths = noise_features([60, 50])
    no_masks = SpecAugmentConfig(frequency_masks=0, time_masks=0)
    assert torch.equal(mask_all(features, lengths, no_masks), features)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frequency_masks": 4}, "cover all bands: lower frequency_mask_share"),
        ({"frequency_mask_share": 0.5}, "cover all bands: lower frequency_mask_share"),
        ({"time_masks": 7}, "cover a whole utterance: lower time_mask_share"),
        ({"time_mask_share": 0.5}, "cover a whole utterance: lower time_mask_share"),
        ({"frequency_masks": -1}, "frequency_masks is -1, but must be at least 0"),
        ({"frequency_mask_share": -0.1}, "frequency_mask_share is -0.1"),
        ({"time_masks": -1}, "time_masks is -1"),
        ({"time_mask_seconds": -1.0}, "time_mask_seconds is -1"),
        ({"time_mask_share": -0.1}, "time_mask_share is -0.1"),
    ],
    ids=str,
)
def test_impossible_mask_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SpecAugmentConfig(**changes)


def test_what_follows_the_end_does_not_count_for_the_mean() -> None:
    """Whisper's features have silence there, and not zero."""
    lengths, chosen = torch.tensor([60, 100]), torch.tensor([True, True])
    features = torch.randn(2, 100, 16, generator=torch.Generator().manual_seed(1))
    masked = []
    for after_the_end in (0.0, -1.5):
        features[0, 60:] = after_the_end
        torch.manual_seed(2)
        masked.append(spec_augment(features, lengths, chosen, SpecAugmentConfig()))
    assert not torch.equal(masked[1], features)
    assert torch.equal(masked[0][0, :60], masked[1][0, :60])
    assert (masked[1][0, 60:] == -1.5).all()
