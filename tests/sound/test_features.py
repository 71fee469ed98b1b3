"""Log-mel features against librosa, in batches, reversed, masked; and what is refused."""

import warnings
from dataclasses import fields
from typing import Any

import librosa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.sound.features import FeatureConfig, LogMel, mel_filter_bank, reverse
from sorigeul.sound.spec_augment import SpecAugmentConfig, spec_augment

patient = settings(deadline=None, max_examples=60, derandomize=True)  # machines may be busy


def sound(*lengths: int) -> tuple[Tensor, Tensor]:
    """Waveforms (B, N), zero past each length: noise whose loudness rises, on a tone."""
    generator = torch.Generator().manual_seed(3)
    waveforms = torch.zeros(len(lengths), max(lengths))
    for row, length in enumerate(lengths):
        time = torch.arange(length) / 16_000
        noise = torch.randn(length, generator=generator) * torch.linspace(0.001, 0.1, length)
        waveforms[row, :length] = noise + 0.1 * torch.sin(2 * torch.pi * (300 + 200 * row) * time)
    return waveforms, torch.tensor(lengths)


# The feature table


def test_defaults_are_the_feature_table() -> None:
    config = FeatureConfig()
    assert (config.frame_length, config.stride) == (25, 10)
    assert (config.n_fft, config.hop_length, config.n_mels) == (400, 160, 80)
    assert config.window == "hamming"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n_mels": 128},
        {"n_mels": 40, "window": "hann"},
        {"n_fft": 512, "window": "blackman"},
        {"n_fft": 512, "frame_length": 20.0, "hop_length": 200, "window": "rectangular"},
        {"n_fft": 1024, "frame_length": 31.0, "stride": 7.5},
    ],
    ids=str,
)
def test_mel_spectrogram_is_librosas(changes: dict[str, Any]) -> None:
    config = FeatureConfig(**changes)
    waveforms, _ = sound(8_000, 8_000)
    ours = LogMel(config).mel_spectrogram(waveforms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 128 bands leave some of the lowest ones empty
        theirs = librosa.feature.melspectrogram(
            y=waveforms.numpy(),
            sr=16_000,
            n_fft=config.n_fft,
            hop_length=config.hop_length,
            win_length=round(config.frame_length * 16),
            window={"rectangular": "boxcar"}.get(config.window, config.window),
            n_mels=config.n_mels,
        ).transpose(0, 2, 1)
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, torch.from_numpy(theirs.copy()), rtol=1e-4, atol=1e-9)


def test_filters_are_librosas() -> None:
    theirs = librosa.filters.mel(sr=16_000, n_fft=400, n_mels=80).T
    torch.testing.assert_close(
        mel_filter_bank(80, 400), torch.from_numpy(theirs.copy()), rtol=1e-4, atol=1e-8
    )


def test_features_are_the_logarithm_of_the_mel_spectrogram() -> None:
    waveforms, lengths = sound(4_000)
    log_mel = LogMel(FeatureConfig(normalization="none"))
    features, _ = log_mel(waveforms, lengths)
    torch.testing.assert_close(features.exp(), log_mel.mel_spectrogram(waveforms))


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 399, 1_600, 5_001])
@pytest.mark.parametrize("changes", [{}, {"hop_length": 128, "n_fft": 512}], ids=str)
def test_frames_are_counted_alike_everywhere(samples: int, changes: dict[str, Any]) -> None:
    config = FeatureConfig(**changes)
    features, lengths = LogMel(config)(*sound(samples))
    assert features.shape[1] == int(lengths)


CHANGES: dict[str, Any] = {
    "frame_length": 20.0,
    "stride": 12.5,
    "n_fft": 512,
    "hop_length": 200,
    "n_mels": 40,
    "window": "hann",
    "normalization": "none",
    "input_reverse": True,
}


def test_every_setting_is_tried() -> None:
    assert set(CHANGES) == {field.name for field in fields(FeatureConfig)}


@pytest.mark.parametrize("setting", CHANGES)
def test_every_setting_changes_the_features(setting: str) -> None:
    usual, _ = LogMel(FeatureConfig())(*sound(4_000))
    changed, _ = LogMel(FeatureConfig(**{setting: CHANGES[setting]}))(*sound(4_000))
    assert usual.shape != changed.shape or not torch.allclose(usual, changed, atol=1e-3)


# Stride and hop length are one quantity


def test_stride_and_hop_length_follow_each_other() -> None:
    assert FeatureConfig(stride=12.5).hop_length == 200
    assert FeatureConfig(hop_length=200).stride == 12.5
    assert FeatureConfig(stride=12.5, hop_length=200) == FeatureConfig(stride=12.5)
    assert FeatureConfig(hop_length=200).frames_per_second == 80


def test_stride_and_hop_length_may_not_contradict() -> None:
    with pytest.raises(UserError, match=r"stride 20 ms is 320 samples, but hop_length is 200"):
        FeatureConfig(stride=20.0, hop_length=200)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 0.0}, "stride .* must be positive"),
        ({"stride": -10.0}, "stride .* must be positive"),
        ({"hop_length": 0}, "must be positive"),
        ({"frame_length": 0.0}, "frame_length must be positive"),
        ({"frame_length": 32.0}, "512 samples .* n_fft 400: raise n_fft or shorten the frame"),
        ({"n_fft": 256}, "n_fft 256: raise n_fft"),
        ({"n_fft": 401}, "n_fft 401 must be even"),
        ({"n_mels": 3}, "n_mels 3 must lie between 4 and 200"),
        ({"n_mels": 201}, "n_mels 201 must lie between 4 and 200"),
        ({"window": "kaiser"}, "window 'kaiser' is none of hamming, hann"),
        ({"normalization": "global"}, "normalization 'global' is none of utterance, none"),
    ],
    ids=str,
)
def test_refused_feature_settings(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refusal:
        FeatureConfig(**changes)
    assert "\n" not in str(refusal.value)


# Batches


@pytest.mark.parametrize(
    "changes",
    [{}, {"normalization": "none"}, {"input_reverse": True}, {"n_fft": 512, "hop_length": 128}],
    ids=str,
)
def test_a_padded_batch_gives_each_utterance_its_own_features(changes: dict[str, Any]) -> None:
    log_mel = LogMel(FeatureConfig(**changes))
    waveforms, lengths = sound(5_000, 8_001, 480, 3_199)
    features, frames = log_mel(torch.nn.functional.pad(waveforms, (0, 777)), lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, count = log_mel(waveforms[row : row + 1, :length], lengths[row : row + 1])
        assert int(frames[row]) == int(count) == alone.shape[1]
        torch.testing.assert_close(features[row, :count], alone[0], rtol=0, atol=1e-4)
        assert not features[row, count:].any()


def test_each_band_gets_mean_0_and_deviation_1_over_the_valid_frames() -> None:
    features, frames = LogMel(FeatureConfig())(*sound(8_000, 5_000, 2_000))
    for row, count in enumerate(frames.tolist()):
        valid = features[row, :count]
        assert valid.mean(0).abs().max() < 1e-5
        torch.testing.assert_close(valid.std(0, correction=0), torch.ones(80), rtol=0, atol=1e-4)


@pytest.mark.parametrize("normalization", ["utterance", "none"])
def test_digital_silence_stays_finite(normalization: Any) -> None:
    waveforms, lengths = sound(4_000, 4_000)
    waveforms[0] = 0.0
    features, _ = LogMel(FeatureConfig(normalization=normalization))(waveforms, lengths)
    assert features.isfinite().all()


def test_silence_is_not_blown_up_into_noise() -> None:
    """Whatever the length: rounding in the mean must not become a deviation of 1."""
    lengths = torch.arange(4_000, 60_000, 3_001)
    features, _ = LogMel(FeatureConfig())(torch.zeros(len(lengths), 60_000), lengths)
    assert features.abs().max() < 0.05


def test_half_precision_does_not_reach_the_features() -> None:
    log_mel = LogMel(FeatureConfig())
    usual, _ = log_mel(*sound(4_000))
    with torch.autocast("cpu", torch.bfloat16):
        half, _ = log_mel(*sound(4_000))
    assert torch.equal(usual, half)


def test_input_reverse_turns_the_valid_frames_only() -> None:
    waveforms, lengths = sound(5_000, 8_000, 480)
    forward, frames = LogMel(FeatureConfig())(waveforms, lengths)
    backward, _ = LogMel(FeatureConfig(input_reverse=True))(waveforms, lengths)
    for row, count in enumerate(frames.tolist()):
        assert torch.equal(backward[row, :count], forward[row, :count].flip(0))
        assert not backward[row, count:].any()


@patient
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 3))
def test_reversing_twice_changes_nothing(lengths: list[int], more: int) -> None:
    features, counts = torch.randn(len(lengths), max(lengths) + more, 3), torch.tensor(lengths)
    assert torch.equal(reverse(reverse(features, counts), counts), features)


# SpecAugment

FREQUENCY = SpecAugmentConfig(time_masks=0)
TIME = SpecAugmentConfig(frequency_masks=0)


def noise(lengths: list[int], bands: int = 20, frames: int = 0) -> tuple[Tensor, Tensor]:
    """Features (B, T, F) that nowhere equal a mean, zero past each length."""
    features = 5 + torch.randn(len(lengths), max(frames, *lengths, 0), bands)
    for row, length in enumerate(lengths):
        features[row, length:] = 0.0
    return features, torch.tensor(lengths)


def all_of(features: Tensor) -> Tensor:
    return torch.ones(len(features), dtype=torch.bool)


def test_masks_are_the_mean_of_their_band() -> None:
    torch.manual_seed(4)
    features, lengths = noise([60, 90])
    masked = spec_augment(features, lengths, all_of(features), SpecAugmentConfig())
    changed = masked != features
    for row, length in enumerate(lengths.tolist()):
        assert changed[row].any()
        mean = features[row, :length].mean(0).expand_as(features[row])
        torch.testing.assert_close(masked[row][changed[row]], mean[changed[row]])


def test_masks_of_normalised_features_are_zero() -> None:
    torch.manual_seed(4)
    features, lengths = LogMel(FeatureConfig())(*sound(16_000, 12_000))
    masked = spec_augment(features, lengths, all_of(features), SpecAugmentConfig())
    assert (masked != features).any()
    assert masked[masked != features].abs().max() < 1e-5


def test_only_the_chosen_utterances_change() -> None:
    torch.manual_seed(4)
    features, lengths = noise([60, 60, 60])
    chosen = torch.tensor([True, False, True])
    changed = spec_augment(features, lengths, chosen, SpecAugmentConfig()) != features
    assert changed.flatten(1).any(1).tolist() == [True, False, True]


def test_masks_cover_whole_bands_and_whole_frames() -> None:
    torch.manual_seed(4)
    features, lengths = noise([60], frames=70)
    bands = (spec_augment(features, lengths, all_of(features), FREQUENCY) != features)[0, :60]
    times = (spec_augment(features, lengths, all_of(features), TIME) != features)[0, :60]
    assert bands.any()
    assert torch.equal(bands, bands[:1].expand_as(bands))
    assert times.any()
    assert torch.equal(times, times[:, :1].expand_as(times))


@patient
@given(st.lists(st.integers(5, 50), min_size=1, max_size=4), st.integers(0, 2**31))
def test_no_short_utterance_is_wholly_masked_nor_padding_touched(
    lengths: list[int], seed: int
) -> None:
    torch.manual_seed(seed)
    features, counts = noise(lengths, frames=55)
    masked = spec_augment(features, counts, all_of(features), SpecAugmentConfig())
    changed = masked != features
    for row, length in enumerate(lengths):
        assert not changed[row, length:].any()
        whole_frames = changed[row, :length].all(1).sum()
        whole_bands = changed[row, :length].all(0).sum()
        assert whole_frames <= 0.3 * length
        assert whole_bands <= 0.6 * features.shape[2]


@pytest.mark.parametrize("frames_per_second", [100.0, 80.0])
def test_long_utterances_lose_no_more_than_the_seconds_say(frames_per_second: float) -> None:
    torch.manual_seed(4)
    features, lengths = noise([400] * 300, bands=4)
    one = SpecAugmentConfig(frequency_masks=0, time_masks=1)
    masked = spec_augment(features, lengths, all_of(features), one, frames_per_second)
    widths = (masked != features).all(2).sum(1)
    # Uniform from nothing to 0.4 s, both ends included.
    assert int(widths.max()) == 0.4 * frames_per_second
    assert int(widths.min()) == 0


def test_masks_reach_every_width_and_both_ends() -> None:
    torch.manual_seed(4)
    features, lengths = noise([40] * 600)
    one_band = SpecAugmentConfig(frequency_masks=1, time_masks=0)
    one_time = SpecAugmentConfig(frequency_masks=0, time_masks=1)
    bands = (spec_augment(features, lengths, all_of(features), one_band) != features).all(1)
    times = (spec_augment(features, lengths, all_of(features), one_time) != features).all(2)
    assert set(bands.sum(1).tolist()) == set(range(7))  # 0.3 of 20 bands
    assert set(times.sum(1).tolist()) == set(range(7))  # 0.15 of 40 frames
    assert bands.any(0).all()
    assert times.any(0).all()


def test_a_seed_gives_the_same_masks() -> None:
    features, lengths = noise([60, 50])
    masked = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        masked.append(spec_augment(features, lengths, all_of(features), SpecAugmentConfig()))
    assert torch.equal(masked[0], masked[1])
    assert not torch.equal(masked[0], masked[2])


def test_no_masks_change_nothing() -> None:
    features, lengths = noise([60, 50])
    nothing = SpecAugmentConfig(frequency_masks=0, time_masks=0)
    assert torch.equal(spec_augment(features, lengths, all_of(features), nothing), features)


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
def test_refused_masks(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SpecAugmentConfig(**changes)
