"""How the channels of a recording become one, and how they are kept apart."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from helpers.waves import Wave, wave, with_soundfile

from sorigeul.base.errors import UserError
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, AudioOptions, Recording, load, open_stream
from sorigeul.sound.channels import CHOICES


def noise(seconds: float, level: float, seed: int = 0) -> Wave:
    size = round(seconds * SAMPLE_RATE)
    return (level * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)


def heard(channels: list[Wave], channel: str = "auto") -> Recording:
    data = with_soundfile(np.stack(channels, axis=1), subtype="FLOAT")
    return load(data, options=AudioOptions(channel=channel))


def same(one: npt.NDArray[Any], two: npt.NDArray[Any]) -> bool:
    return bool(np.abs(one - two).max() < 1e-6)


def test_plain_stereo_is_the_mean_to_the_last_bit() -> None:
    left, right = wave(5), wave(5, shift=0.1) * np.float32(0.3) + noise(5, 0.02)
    recording = heard([left, right])
    expected = np.stack([left, right], axis=1).mean(axis=1)
    np.testing.assert_array_equal(recording.samples, expected)
    assert recording.account[1:] == ("mixed 2 channels down to one",)


def test_pauses_and_unlike_noise_do_not_change_the_mixing() -> None:
    speech = np.concatenate([wave(2), np.zeros(3 * SAMPLE_RATE, np.float32), wave(2.3)])
    left, right = speech + noise(7.3, 1e-3, 1), speech + noise(7.3, 1e-3, 2)
    expected = np.stack([left, right], axis=1).mean(axis=1)
    np.testing.assert_array_equal(heard([left, right]).samples, expected)


def test_a_channel_of_opposite_phase_is_inverted() -> None:
    speech = wave(5)
    recording = heard([speech, -speech])
    assert same(recording.samples, speech)
    assert "inverted channel right for 5.00 s, where its phase is opposite" in recording.account
    with pytest.raises(UserError, match="only silence"):
        heard([speech, -speech], "mix")


def test_a_change_of_phase_in_the_middle_is_followed_smoothly() -> None:
    speech = wave(8)
    right = np.concatenate([speech[: 4 * SAMPLE_RATE], -speech[4 * SAMPLE_RATE :]])
    recording = heard([speech, right])
    assert same(recording.samples[: 4 * SAMPLE_RATE], speech[: 4 * SAMPLE_RATE])
    assert same(recording.samples[5 * SAMPLE_RATE :], speech[5 * SAMPLE_RATE :])
    steps = np.abs(np.diff(recording.samples))
    assert steps.max() < 1.5 * np.abs(np.diff(speech)).max(), "no click"


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_a_dead_channel_is_left_out(level: float) -> None:
    speech = wave(5)
    for channels in ([speech, noise(5, level)], [noise(5, level), speech]):
        recording = heard(channels)
        assert same(recording.samples, speech)
        assert any("left out channel" in step for step in recording.account)


def test_a_constant_voltage_does_not_make_a_channel_live() -> None:
    assert same(heard([wave(3), np.full(3 * SAMPLE_RATE, 0.1, np.float32)]).samples, wave(3))


def test_a_channel_that_speaks_later_is_heard() -> None:
    silence = np.zeros(5 * SAMPLE_RATE, np.float32)
    left, right = np.concatenate([wave(5), silence]), np.concatenate([silence, wave(5)])
    recording = heard([left, right])
    assert same(recording.samples[: 5 * SAMPLE_RATE], left[: 5 * SAMPLE_RATE])
    after = slice(5 * SAMPLE_RATE + 2_000, None)
    assert same(recording.samples[after], right[after] / 2)


def test_one_channel_is_chosen() -> None:
    left, right = wave(2), wave(2, shift=0.3)
    for channel, expected in (("left", left), ("right", right), ("mix", (left + right) / 2)):
        assert same(heard([left, right], channel).samples, expected)


@pytest.mark.parametrize("channel", CHOICES)
def test_the_only_channel_stands_in_for_another_and_says_so(channel: str) -> None:
    mono = with_soundfile(wave(2), subtype="FLOAT")
    with open_stream(mono, options=AudioOptions(channel=channel)) as stream:
        assert same(np.concatenate(list(stream), axis=1), wave(2))
        steps = stream.account[1:]
    told = (f"took the only channel there is, for {channel}",)
    assert steps == (told if channel in ("left", "right", "each") else ())


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 44_100])
def test_each_channel_is_kept_apart(rate: int) -> None:
    samples = np.stack([wave(3, rate, shift=0.1 * number) for number in range(3)], axis=1)
    for count, names in ((1, ("",)), (2, ("left", "right")), (3, ("1", "2", "3"))):
        data = with_soundfile(samples[:, :count], rate, subtype="FLOAT")
        with open_stream(data, options=AudioOptions(channel="each")) as stream:
            assert stream.channels == names
            channels = np.concatenate(list(stream), axis=1)
        for number in range(count):
            alone = load(with_soundfile(samples[:, number], rate, subtype="FLOAT"))
            np.testing.assert_array_equal(channels[number], alone.samples)


@pytest.mark.parametrize("channel", ["3", "9" * 5000])
def test_a_channel_that_is_not_there_is_refused(channel: str) -> None:
    with pytest.raises(AudioError, match=f"has no channel {channel}, but 1$"):
        load(with_soundfile(wave()), options=AudioOptions(channel=channel))


def test_each_is_refused_where_one_recording_is_needed() -> None:
    with pytest.raises(UserError, match="channel each gives several recordings"):
        load(with_soundfile(wave()), options=AudioOptions(channel="each"))
    with pytest.raises(UserError, match="give one of auto, left, right, each, mix"):
        AudioOptions(channel="centre")
