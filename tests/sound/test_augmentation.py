"""Speed perturbation, noise and degradations: length, pitch, ratio, how often they are drawn."""

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers.noises import white_noise

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.augmentation import (
    SPEEDS,
    DegradationShares,
    Noise,
    change_speed,
    draw_speed,
)
from sorigeul.sound.degradations import Degradation, Step


@pytest.fixture
def noises(tmp_path: Path) -> Path:
    return white_noise(tmp_path / "noises")


def tone(hertz: float, seconds: float = 2.0) -> Samples:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (0.1 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def pitch(samples: Samples) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


# Speed


@pytest.mark.parametrize("tenths", SPEEDS)
def test_a_speed_changes_length_and_pitch_but_not_the_level(tenths: int) -> None:
    original = tone(1000.0)
    changed = change_speed(original, tenths)
    assert changed.dtype == np.float32
    assert len(changed) == pytest.approx(len(original) * 10 / tenths, abs=1)
    assert pitch(changed) == pytest.approx(100 * tenths, abs=1)
    assert changed.std() == pytest.approx(original.std(), rel=0.01)
    assert tenths != 10 or changed is original


def test_frequencies_that_a_higher_speed_would_alias_are_filtered_out() -> None:
    assert change_speed(tone(7_600.0), 11)[500:-500].std() < 0.001


def test_speeds_are_drawn_evenly_and_anew_in_every_epoch() -> None:
    drawn = {
        epoch: [draw_speed(f"0/{epoch}/u{number:04}") for number in range(3000)] for epoch in (0, 1)
    }
    for speeds in drawn.values():
        assert set(speeds) == set(SPEEDS)
        assert all(900 < count < 1100 for count in Counter(speeds).values())
    same = sum(first == second for first, second in zip(drawn[0], drawn[1], strict=True))
    assert 900 < same < 1100


# Noise


@pytest.mark.parametrize("name", ["long.flac", "more/short.wav"])
@pytest.mark.parametrize("decibels", [5.0, 20.0])
def test_noise_has_the_configured_ratio(noises: Path, name: str, decibels: float) -> None:
    for path in set(noises.rglob("*.*")) - {noises / name}:
        path.unlink()
    noise = Noise(noises, 1.0, decibels, decibels)
    speech = tone(400.0)
    added = noise.mixed(speech, "key") - speech
    ratio = 20 * np.log10(speech.std() / added.std())
    assert ratio == pytest.approx(decibels, abs=0.5)
    assert abs(added.mean()) < 0.1 * added.std()  # an offset would count as noise


def test_ratios_are_drawn_evenly_for_the_configured_share(noises: Path) -> None:
    (noises / "more" / "short.wav").unlink()
    noise = Noise(noises, 0.4, 5.0, 20.0)
    speech = tone(400.0, 0.5)
    results = [noise.mixed(speech, f"0/0/u{number}") for number in range(1000)]
    added = [samples - speech for samples in results if samples is not speech]
    ratios = [20 * np.log10(speech.std() / section.std()) for section in added]
    assert len(added) == pytest.approx(400, abs=50)
    assert min(ratios) > 4.5
    assert max(ratios) < 20.5
    assert np.mean(ratios) == pytest.approx(12.5, abs=1)
    assert np.std(ratios) == pytest.approx(15 / 12**0.5, rel=0.1)
    # Sections come from all over the recording.
    assert len({section[:50].tobytes() for section in added}) == len(added)


def test_noise_that_is_decoded_again_sounds_the_same(
    noises: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = tone(400.0)
    in_memory = Noise(noises, 1.0, 10.0, 10.0)
    monkeypatch.setattr("sorigeul.sound.augmentation._MAX_DECODED_SAMPLES", 0)
    decoded_again = Noise(noises, 1.0, 10.0, 10.0)
    for key in map(str, range(5)):
        assert np.array_equal(in_memory.mixed(speech, key), decoded_again.mixed(speech, key))


def test_files_that_are_not_noise_are_left_out_and_counted(
    noises: Path, bad: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    for path in bad.values():
        path.rename(noises / path.name)
    (noises / ".hidden").write_text("hidden files are not counted")
    with caplog.at_level(logging.WARNING):
        noise = Noise(noises, 0.5, 5.0, 20.0)
    assert len(noise.paths) == 2
    assert len(noise.unusable) == 4
    (warning,) = caplog.messages
    assert "4 of 6 files cannot be used" in warning
    assert "\n" not in warning
    assert any("silent.wav: holds only silence" in message for message in noise.unusable)


# Degradations


def shares(share: float) -> DegradationShares:
    """Each degradation for the same share, silence of up to 2 s, ratios of 0 to 10 dB."""
    return DegradationShares(*(share,) * 7, silence_seconds=2.0, noise_low=0.0, noise_high=10.0)


def drawn(share: float, count: int = 1000) -> list[list[Step]]:
    """The degradations drawn for each of `count` utterances, in order."""
    texts = [
        [text for text in (shares(share).draw_place(key), shares(share).draw_channel(key)) if text]
        for key in (f"0/0/u{number}" for number in range(count))
    ]
    return [[step for text in both for step in Degradation.parse(text).steps] for both in texts]


def test_nothing_is_drawn_without_a_share() -> None:
    assert not shares(0.0).any
    assert not any(drawn(0.0))


def test_degradations_are_drawn_independently_for_their_share() -> None:
    counts = Counter(step.name for steps in drawn(0.25) for step in steps)
    noises = [counts.pop(name) for name in ("noise", "white", "brown", "hum")]
    codecs = [counts.pop(name) for name in ("mp3", "opus")]
    assert set(counts) == {"rir", "silence", "babble", "telephone", "level"}
    assert all(200 < count < 300 for count in (*counts.values(), sum(noises), sum(codecs)))
    assert all(30 < count < 95 for count in noises)
    sizes = Counter(map(len, drawn(0.25)))
    assert sizes[0] == pytest.approx(1000 * 0.75**7, abs=40)


def test_values_are_drawn_evenly_in_their_range() -> None:
    ranges = {
        "rir": (0.1, 0.6),
        "silence": (0.0, 2.0),
        "white": (0.0, 10.0),
        "babble": (0.0, 10.0),
        "level": (-40.0, 0.0),
    }
    steps = [step for steps in drawn(1.0) for step in steps]
    for name, (low, high) in ranges.items():
        values = [step.value for step in steps if step.name == name and step.value is not None]
        assert low <= min(values) < low + 0.03 * (high - low)
        assert high - 0.03 * (high - low) < max(values) <= high
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.07 * (high - low))


def test_the_order_is_room_silence_noise_channel_level() -> None:
    for steps in drawn(1.0, 20):
        names = [step.name for step in steps]
        assert names[:2] == ["rir", "silence"]
        assert names[3:5] == ["babble", "telephone"]
        assert names[6] == "level"
