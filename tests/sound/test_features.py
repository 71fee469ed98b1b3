"""Log-mel features: equal to librosa's, independent of padding, reversed; refused settings."""

import warnings
from dataclasses import fields
from typing import Any

import librosa
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.sound.feature_config import FeatureConfig
from sorigeul.sound.features import LogMel
from sorigeul.sound.frame_normalization import reverse
from sorigeul.sound.mel import mel_filter_bank

# No limits on time: the machine may be slow or busy.
untimed = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=60,
    derandomize=True,
)


def noisy_tones(*lengths: int) -> tuple[Tensor, Tensor]:
    """Waveforms (B, N) of a tone in rising noise, zero after each length, and lengths (B,)."""
    generator = torch.Generator().manual_seed(3)
    waveforms = torch.zeros(len(lengths), max(lengths))
    for row, length in enumerate(lengths):
        time = torch.arange(length) / 16_000
        noise = torch.randn(length, generator=generator) * torch.linspace(0.001, 0.1, length)
        waveforms[row, :length] = noise + 0.1 * torch.sin(2 * torch.pi * (300 + 200 * row) * time)
    return waveforms, torch.tensor(lengths)


# The mel spectrogram and the settings


def test_defaults_are_those_of_the_seed() -> None:
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
def test_mel_spectrogram_equals_librosas(changes: dict[str, Any]) -> None:
    config = FeatureConfig(**changes)
    waveforms, _ = noisy_tones(8_000, 8_000)
    actual = LogMel(config).mel_spectrogram(waveforms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # with 128 bands, some of the lowest ones are empty
        expected = librosa.feature.melspectrogram(
            y=waveforms.numpy(),
            sr=16_000,
            n_fft=config.n_fft,
            hop_length=config.hop_length,
            win_length=round(config.frame_length * 16),
            window={"rectangular": "boxcar"}.get(config.window, config.window),
            n_mels=config.n_mels,
        ).transpose(0, 2, 1)
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual, torch.from_numpy(expected.copy()), rtol=1e-4, atol=1e-9)


def test_mel_filters_equal_librosas() -> None:
    expected = librosa.filters.mel(sr=16_000, n_fft=400, n_mels=80).T
    torch.testing.assert_close(
        torch.from_numpy(mel_filter_bank(80, 400)),
        torch.from_numpy(expected.copy()),
        rtol=1e-4,
        atol=1e-8,
    )


def test_features_are_the_logarithm_of_the_mel_spectrogram() -> None:
    waveforms, lengths = noisy_tones(4_000)
    log_mel = LogMel(FeatureConfig(normalization="none"))
    features, _ = log_mel(waveforms, lengths)
    torch.testing.assert_close(features.exp(), log_mel.mel_spectrogram(waveforms))


@pytest.mark.parametrize("samples", [1, 159, 160, 161, 399, 1_600, 5_001])
@pytest.mark.parametrize("changes", [{}, {"hop_length": 128, "n_fft": 512}], ids=str)
def test_the_frame_count_is_the_number_of_frames(samples: int, changes: dict[str, Any]) -> None:
    config = FeatureConfig(**changes)
    features, lengths = LogMel(config)(*noisy_tones(samples))
    assert features.shape[1] == int(lengths)


CHANGED_SETTINGS: dict[str, Any] = {
    "frame_length": 20.0,
    "stride": 12.5,
    "n_fft": 512,
    "hop_length": 200,
    "n_mels": 40,
    "window": "hann",
    "normalization": "none",
    "input_reverse": True,
}


def test_the_changed_settings_are_all_settings() -> None:
    # What a kind is equal to is in tests/pretrained/test_encoders.py.
    assert {*CHANGED_SETTINGS, "kind"} == {field.name for field in fields(FeatureConfig)}


@pytest.mark.parametrize("setting", CHANGED_SETTINGS)
def test_every_setting_changes_the_features(setting: str) -> None:
    default, _ = LogMel(FeatureConfig())(*noisy_tones(4_000))
    config = FeatureConfig(**{setting: CHANGED_SETTINGS[setting]})
    changed, _ = LogMel(config)(*noisy_tones(4_000))
    assert default.shape != changed.shape or not torch.allclose(default, changed, atol=1e-3)


# Stride and hop length are the same quantity


def test_setting_one_of_stride_and_hop_length_sets_the_other() -> None:
    assert FeatureConfig(stride=12.5).hop_length == 200
    assert FeatureConfig(hop_length=200).stride == 12.5
    assert FeatureConfig(stride=12.5, hop_length=200) == FeatureConfig(stride=12.5)
    assert FeatureConfig(hop_length=200).frames_per_second == 80


def test_contradicting_stride_and_hop_length_are_refused() -> None:
    with pytest.raises(UserError, match=r"stride 20 ms is 320 samples, but hop_length is 200"):
        FeatureConfig(stride=20.0, hop_length=200)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stride": 0.0}, "stride is 0.0, but must be above 0"),
        ({"stride": -10.0}, "stride is -10.0, but must be above 0"),
        ({"hop_length": 0}, "hop_length is 0, but must be at least 1"),
        ({"frame_length": 0.0}, "frame_length is 0.0, but must be above 0"),
        ({"frame_length": 32.0}, "512 samples .* n_fft 400: raise n_fft or shorten the frame"),
        ({"n_fft": 256}, "n_fft 256: raise n_fft"),
        ({"n_fft": 401}, "n_fft 401 must be even"),
        ({"n_mels": 3}, "n_mels is 3, but must be at least 4"),
        ({"n_mels": 201}, "n_mels 201 must lie between 4 and 200"),
        ({"window": "kaiser"}, "window 'kaiser' is none of hamming, hann"),
        ({"normalization": "global"}, "normalization 'global' is none of utterance, speech, none"),
    ],
    ids=str,
)
def test_impossible_feature_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        FeatureConfig(**changes)
    assert "\n" not in str(raised.value)


# Batches


@pytest.mark.parametrize(
    "changes",
    [{}, {"normalization": "none"}, {"input_reverse": True}, {"n_fft": 512, "hop_length": 128}],
    ids=str,
)
def test_a_padded_batch_gives_each_utterance_its_own_features(changes: dict[str, Any]) -> None:
    log_mel = LogMel(FeatureConfig(**changes))
    waveforms, lengths = noisy_tones(5_000, 8_001, 480, 3_199)
    features, frames = log_mel(torch.nn.functional.pad(waveforms, (0, 777)), lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, count = log_mel(waveforms[row : row + 1, :length], lengths[row : row + 1])
        assert int(frames[row]) == int(count) == alone.shape[1]
        torch.testing.assert_close(features[row, :count], alone[0], rtol=0, atol=1e-4)
        assert not features[row, count:].any()


def test_each_band_gets_mean_0_and_deviation_1_over_the_valid_frames() -> None:
    features, frames = LogMel(FeatureConfig())(*noisy_tones(8_000, 5_000, 2_000))
    for row, count in enumerate(frames.tolist()):
        valid = features[row, :count]
        assert valid.mean(0).abs().max() < 1e-5
        torch.testing.assert_close(valid.std(0, correction=0), torch.ones(80), rtol=0, atol=1e-4)


@pytest.mark.parametrize("normalization", ["utterance", "none"])
def test_digital_silence_stays_finite(normalization: Any) -> None:
    waveforms, lengths = noisy_tones(4_000, 4_000)
    waveforms[0] = 0.0
    features, _ = LogMel(FeatureConfig(normalization=normalization))(waveforms, lengths)
    assert features.isfinite().all()


def test_rounding_noise_of_silence_is_not_amplified() -> None:
    """At any length, rounding errors in the mean must not be scaled to a deviation of 1."""
    lengths = torch.arange(4_000, 60_000, 3_001)
    features, _ = LogMel(FeatureConfig())(torch.zeros(len(lengths), 60_000), lengths)
    assert features.abs().max() < 0.05


def test_autocast_does_not_change_the_features() -> None:
    log_mel = LogMel(FeatureConfig())
    expected, _ = log_mel(*noisy_tones(4_000))
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast, _ = log_mel(*noisy_tones(4_000))
    assert torch.equal(under_autocast, expected)


def test_input_reverse_reverses_only_the_valid_frames() -> None:
    waveforms, lengths = noisy_tones(5_000, 8_000, 480)
    forward, frames = LogMel(FeatureConfig())(waveforms, lengths)
    backward, _ = LogMel(FeatureConfig(input_reverse=True))(waveforms, lengths)
    for row, count in enumerate(frames.tolist()):
        assert torch.equal(backward[row, :count], forward[row, :count].flip(0))
        assert not backward[row, count:].any()


@untimed
@given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 3))
def test_reversing_twice_changes_nothing(lengths: list[int], padding: int) -> None:
    features, frames = torch.randn(len(lengths), max(lengths) + padding, 3), torch.tensor(lengths)
    assert torch.equal(reverse(reverse(features, frames), frames), features)
