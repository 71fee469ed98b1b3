"""Degradations of speech by name: how strong they are, what they leave in time, what is refused."""

import numpy as np
import pytest

from sorigeul.base.errors import UserError
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.degradations import Degradation, degradation_names

ALL = (
    "noise:10",
    "white:10",
    "brown:10",
    "hum:10",
    "babble:10",
    "rir:0.4",
    "telephone",
    "mp3:32",
    "opus:24",
    "amr:12.2",
    "level:-30",
    "clip:6",
    "silence:1",
)
RANDOM = {"noise:10", "white:10", "brown:10", "hum:10", "babble:10", "rir:0.4", "silence:1"}


def voice(seconds: float = 3.0, seed: int = 0, low: float = 300.0, high: float = 3000.0) -> Samples:
    """Samples (N,) of noise in a band, with syllables and pauses as in speech."""
    random = np.random.default_rng(seed)
    size = round(seconds * SAMPLE_RATE)
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(random.standard_normal(size)) * ((low < hertz) & (hertz < high))
    loudness = np.repeat(random.choice([0.02, 0.5, 1.0], size // 2400 + 1), 2400)[:size]
    samples = np.fft.irfft(spectrum, size) * loudness
    return np.asarray(0.1 * samples / samples.std(), np.float32)


def degraded(text: str, samples: Samples, key: str = "key") -> Samples:
    return Degradation.parse(text).apply(samples, key)


def decibels(first: Samples, second: Samples) -> float:
    """By how much the mean power of the first is above that of the second."""
    return float(20 * np.log10(first.std() / second.std()))


def delay(original: Samples, changed: Samples) -> int:
    """Samples by which the second is later, by cross-correlation."""
    size = 2 * len(original)
    spectra = np.fft.rfft(changed, size) * np.conj(np.fft.rfft(original, size))
    place = int(np.argmax(np.fft.irfft(spectra, size)))
    return place if place < len(original) else place - size


def band_power(samples: Samples, low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return float(power[(low <= hertz) & (hertz < high)].sum())


# All


@pytest.mark.parametrize("text", ALL)
@pytest.mark.parametrize("size", [1, 577, 48_001])
def test_samples_stay_finite_float32_of_the_same_length(text: str, size: int) -> None:
    samples = voice(4.0)[:size]
    before = samples.copy()
    changed = degraded(text, samples)
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert len(changed) == size + SAMPLE_RATE * text.startswith("silence")
    assert np.array_equal(samples, before)
    assert np.isfinite(degraded(text, np.zeros(size, np.float32))).all()


@pytest.mark.parametrize("text", ALL)
def test_draws_depend_on_the_key_alone(text: str) -> None:
    samples = voice(1.0)
    first, again, other = (degraded(text, samples, key) for key in ("0/1/u1", "0/1/u1", "0/1/u2"))
    assert first.tobytes() == again.tobytes()
    assert (first.tobytes() != other.tobytes()) == (text in RANDOM)


@pytest.mark.parametrize("text", sorted(set(ALL) - {"silence:1", "rir:0.4"}))
def test_speech_keeps_its_time(text: str) -> None:
    original = voice()
    assert abs(delay(original, degraded(text, original))) <= SAMPLE_RATE // 1000  # 1 ms


def test_several_are_applied_from_left_to_right() -> None:
    samples = voice(1.0)
    step_by_step = degraded("level:-20", degraded("noise:10", degraded("rir:0.3", samples)))
    assert np.array_equal(degraded("rir:0.3+noise:10 + level:-20", samples), step_by_step)


# Noise


@pytest.mark.parametrize("name", ["noise", "white", "brown", "hum", "babble"])
@pytest.mark.parametrize("ratio", [-5.0, 0.0, 20.0])
def test_noise_has_the_ratio_asked_for(name: str, ratio: float) -> None:
    speech = voice()
    added = degraded(f"{name}:{ratio}", speech) - speech
    assert decibels(speech, added) == pytest.approx(ratio, abs=0.1)


def test_the_same_noise_comes_back_at_every_ratio() -> None:
    speech = voice(1.0)
    loud, faint = (degraded(f"rir:0.2+noise:{ratio}", speech) for ratio in (0, 20))
    reverberant = degraded("rir:0.2", speech)
    assert np.allclose(loud - reverberant, 10 * (faint - reverberant), atol=1e-5)


@pytest.mark.parametrize(("name", "slope"), [("white", 0), ("noise", -3), ("brown", -6)])
def test_noise_has_its_color(name: str, slope: float) -> None:
    """Decibels per octave."""
    speech = voice(10.0)
    added = degraded(f"{name}:0", speech) - speech
    octaves = [band_power(added, hertz, 2 * hertz) / hertz for hertz in (100, 200, 400, 800, 1600)]
    slopes = np.diff(10 * np.log10(octaves))
    assert slopes.mean() == pytest.approx(slope, abs=0.5)


def test_hum_is_at_multiples_of_60_hertz() -> None:
    speech = voice(10.0)
    hum = degraded("hum:0", speech) - speech
    at_multiples = sum(band_power(hum, 60 * k - 1, 60 * k + 1) for k in range(1, 11))
    assert at_multiples > 0.999 * band_power(hum, 0, 8000)


def test_babble_is_made_of_the_voices_given() -> None:
    speech = voice()
    voices = [voice(1 + number, number, 4000, 6000) for number in range(8)]
    added = Degradation.parse("babble:0", voices).apply(speech, "key") - speech
    assert band_power(added, 3900, 6100) > 0.99 * band_power(added, 0, 8000)
    of_itself = degraded("babble:0", speech) - speech
    assert band_power(of_itself, 200, 4000) > 0.99 * band_power(of_itself, 0, 8000)
    similarity = np.corrcoef(of_itself, speech)[0, 1]
    assert abs(similarity) < 0.05


# Silence


def test_silence_is_drawn_around_the_unchanged_utterance() -> None:
    speech = voice(1.0)
    before = []
    for key in map(str, range(20)):
        longer = degraded("silence:2.5", speech, key)
        assert len(longer) == 3.5 * SAMPLE_RATE
        start = delay(np.pad(speech, (0, 40_000)), longer)
        assert np.array_equal(longer[start : start + SAMPLE_RATE], speech)
        silence = np.concatenate([longer[:start], longer[start + SAMPLE_RATE :]])
        assert -73 < 20 * np.log10(silence.std()) < -59
        before.append(start / SAMPLE_RATE)
    assert min(before) < 0.6
    assert max(before) > 1.9
    assert Degradation.parse("silence:2.5+noise:3+silence:1").added_seconds == 3.5


# Rooms


def reverberation_time(response: Samples) -> float:
    """Seconds to fall by 60 dB, from -5 to -35 dB of the energy that is left (ISO 3382)."""
    left = np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    inside = np.flatnonzero((level < -5) & (level > -35))
    slope = np.polyfit(inside / SAMPLE_RATE, level[inside], 1)[0]
    return float(-60 / slope)


@pytest.mark.parametrize("seconds", [0.15, 0.3, 0.6, 1.2])
def test_a_room_reverberates_as_long_as_asked_for(seconds: float) -> None:
    impulse = np.zeros(2 * SAMPLE_RATE, np.float32)
    impulse[0] = 1
    for key in map(str, range(5)):
        response = degraded(f"rir:{seconds}", impulse, key)
        assert np.argmax(np.abs(response)) == 0  # the direct sound
        reflections = response[SAMPLE_RATE // 1000 :]
        assert reverberation_time(reflections) == pytest.approx(seconds, rel=0.2)


def test_a_room_keeps_the_level_and_the_time_of_speech() -> None:
    speech = voice()
    for key in map(str, range(5)):
        heard = degraded("rir:0.3", speech, key)
        assert decibels(heard, speech) == pytest.approx(0, abs=0.01)
        assert abs(delay(speech, heard)) <= SAMPLE_RATE // 100


# Telephones, codecs, level


def test_a_telephone_has_nothing_outside_its_band() -> None:
    samples = voice(2.0, low=0, high=8000)
    heard = degraded("telephone", samples)
    assert band_power(heard, 3600, 8001) < 1e-6 * band_power(heard, 0, 8001)
    assert band_power(heard, 0, 150) < 1e-6 * band_power(heard, 0, 8001)
    inside = band_power(heard, 400, 3300) / band_power(samples, 400, 3300)
    assert inside == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("good", "bad"), [("mp3:64", "mp3:16"), ("opus:64", "opus:8"), ("amr:12.2", "amr:4.75")]
)
def test_a_codec_is_better_at_a_higher_rate(good: str, bad: str) -> None:
    speech = voice()
    lost = [decibels(speech, degraded(text, speech) - speech) for text in (good, bad)]
    assert lost[0] > lost[1]
    assert lost[0] > 3


def test_quiet_speech_loses_the_steps_of_16_bits() -> None:
    speech = voice()
    quiet = degraded("level:-60", speech)
    assert decibels(quiet, speech) == pytest.approx(-60, abs=0.5)
    assert np.array_equal(quiet * 32768, np.round(quiet * 32768))
    assert len(np.unique(quiet)) < 60
    assert np.abs(degraded("level:40", speech)).max() <= 1


def test_clipping_flattens_the_peaks() -> None:
    speech = voice()
    clipped = degraded("clip:6", speech)
    limit = np.abs(speech).max() * 10 ** (-6 / 20)
    assert np.abs(clipped).max() == pytest.approx(limit)
    quiet = np.abs(speech) < limit
    assert np.array_equal(clipped[quiet], speech[quiet])


# Texts


@pytest.mark.parametrize("text", ["noise:10", "rir:0.4+noise:-2.5", "telephone+mp3:16", "level:-3"])
def test_a_degradation_reads_as_it_was_written(text: str) -> None:
    assert str(Degradation.parse(text)) == text
    assert Degradation.parse(str(Degradation.parse(f" {text} "))) == Degradation.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is none called ''; there are noise:DB, white:DB"),
        ("noize:10", "there is none called 'noize'; there are noise:DB, white:DB"),
        ("rir:0.4+", "'rir:0.4\\+': there is none called ''"),
        ("noise", "write noise:DB, a number between -100 and 100, not 'noise'"),
        ("noise:loud", "write noise:DB, a number between -100 and 100, not 'noise:loud'"),
        ("noise:nan", "write noise:DB"),
        ("rir:0", "write rir:SECONDS, a number between 0.05 and 10, not 'rir:0'"),
        ("telephone:8", "telephone takes no value; write just telephone"),
        ("mp3:320", "write mp3:KBPS, a number between 8 and 160, not 'mp3:320'"),
    ],
)
def test_a_wrong_text_is_refused_with_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        Degradation.parse(text)
    assert "\n" not in str(error.value)


def test_all_names_are_listed() -> None:
    assert [name.partition(":")[0] for name in degradation_names()] == [
        text.partition(":")[0] for text in ALL
    ]
