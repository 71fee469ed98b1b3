"""Boundaries of words: where the sound stops and begins, in order, within the recording."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import tones
from helpers.paths import ROOT
from helpers.spoken_words import SpokenWords, speak_words
from hypothesis import given
from hypothesis import strategies as st

from sorigeul import Recognizer
from sorigeul.corpora.options import PrepareOptions
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.recognition.character_times import character_times
from sorigeul.recognition.word_times import settle_boundaries, word_ranges
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.segments import SpeechSegment
from sorigeul.synthesis.espeak import Synthesizer
from sorigeul.synthesis.script import script

QUICKSTART = ROOT / "runs" / "quickstart"


def spans_of(edges: list[float]) -> np.ndarray:
    return np.array(edges).reshape(-1, 2)


@pytest.mark.parametrize(
    ("text", "ranges"),
    [("", []), (" ", []), ("가나 다", [(0, 2), (3, 4)]), (" 가  나 ", [(1, 2), (4, 5)])],
)
def test_words_are_divided_by_spaces(text: str, ranges: list[tuple[int, int]]) -> None:
    assert word_ranges(text) == ranges


def test_words_end_where_the_sound_does() -> None:
    """CTC fires in the middle of each syllable only; between the words it is silent for 0.25 s."""
    text = "가나 다라"
    samples = tones.synthesize(f" {text} ", 1)
    middles = 0.25 + 0.25 * (np.arange(len(text)) + 0.5)
    spans = np.stack((middles - 0.04, middles + 0.04), axis=1)
    settled = settle_boundaries(spans, text, samples)
    expected = spans_of([0.25, 0.5, 0.5, 0.75, 0.75, 1.0, 1.0, 1.25, 1.25, 1.5])
    assert settled == pytest.approx(expected, abs=0.03)


def test_without_a_pause_words_meet_between_their_characters() -> None:
    samples = tones.synthesize("가나다라", 1)
    spans = spans_of([0.1, 0.2, 0.3, 0.4, 0.46, 0.54, 0.6, 0.7, 0.8, 0.9])
    settled = settle_boundaries(spans, "가나 다라", samples)
    assert settled[1, 1] == settled[3, 0] == pytest.approx(0.5, abs=0.021)
    assert settled[0, 1] == settled[1, 0] == pytest.approx(0.25)


def test_a_character_that_comes_in_the_silence_after_its_word_moves_into_the_sound() -> None:
    samples = tones.synthesize("가나다  ", 1)  # ends at 0.75 s
    spans = spans_of([0.08, 0.16, 0.4, 0.48, 0.96, 1.04])
    settled = settle_boundaries(spans, "가나다", samples)
    assert settled[-1, 1] == pytest.approx(0.75, abs=0.03)
    assert np.all(np.diff(settled.ravel()) >= 0)


def test_the_noise_of_a_room_before_a_word_is_no_part_of_it() -> None:
    """Recordings that were joined: digital silence, half a second of the next room, its speech."""
    speech = tones.synthesize("가 나", 1)  # a pause from 0.25 to 0.5 s
    room = np.random.default_rng(0).standard_normal(len(speech) + SAMPLE_RATE // 2)
    room *= 10 ** (-25 / 20) * np.sqrt(np.mean(speech**2)) / np.std(room)
    samples = np.concatenate((np.zeros(SAMPLE_RATE), room)).astype(np.float32)
    samples[-len(speech) :] += speech
    spans = 1.5 + spans_of([0.1, 0.18, 0.3, 0.38, 0.6, 0.68])
    settled = settle_boundaries(spans, "가 나", samples)
    assert settled[0] == pytest.approx([1.5, 1.75], abs=0.03)
    assert settled[2, 0] == pytest.approx(2.0, abs=0.03)


def test_a_word_does_not_reach_over_speech_without_text() -> None:
    samples = tones.synthesize("가나다라가나다라가나다라", 1)  # 3 s
    settled = settle_boundaries(spans_of([0.1, 0.2, 0.2, 0.3, 2.7, 2.8]), "가 나", samples)
    assert settled[0, 1] <= 0.71
    assert settled[2, 0] >= 2.19


@given(
    st.lists(st.sampled_from("가나 "), max_size=12),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["tones", "noise", "silence", "bursts"]),
)
def test_words_are_in_order_and_within_the_recording(
    units: list[str], seed: int, kind: str
) -> None:
    """Whatever the spans and the sound are. A word's end is after its start."""
    random = np.random.default_rng(seed)
    samples = sound(kind, random)
    seconds = len(samples) / SAMPLE_RATE
    edges = np.sort(random.choice(np.arange(1 + 4 * len(units)), 2 * len(units), replace=False))
    spans = edges.reshape(-1, 2) * (seconds / max(4 * len(units), 1))
    settled = settle_boundaries(spans, units, samples)
    assert settled.shape == spans.shape
    words = np.array(
        [(settled[first, 0], settled[end - 1, 1]) for first, end in word_ranges(units)]
    ).reshape(-1, 2)
    assert np.all(words[:, 0] < words[:, 1])
    assert np.all(np.diff(words.ravel()) >= 0)
    assert np.all((settled >= 0) & (settled <= seconds))
    assert np.all(np.diff(settled[:, 0]) >= 0)
    assert np.all(settled[:, 0] <= settled[:, 1])


def sound(kind: str, random: np.random.Generator) -> Samples:
    count = int(random.integers(200, 30_000))
    noise = random.standard_normal(count).astype(np.float32)
    if kind == "tones":
        return tones.synthesize("가 나", 1)
    if kind == "bursts":
        return noise * (np.sin(np.arange(count) / 1500) > 0)
    return noise if kind == "noise" else np.zeros(count, np.float32)


def test_the_words_of_a_transcription_are_those_of_its_text(
    recognizer: Recognizer, speech: Samples
) -> None:
    """In order, within their segments, in seconds of the whole recording."""
    from helpers.transcripts import encoded

    transcription = recognizer.transcribe(encoded(speech, SAMPLE_RATE, "WAV"))
    assert len(transcription.segments) > 2
    latest = 0.0
    for segment in transcription.segments:
        assert [word.word for word in segment.words] == segment.text.split()
        for word in segment.words:
            assert max(latest, segment.start) <= word.start < word.end <= segment.end
            assert 0 < word.confidence <= 1
            latest = word.end


def boundary_errors(run: Path, spoken: list[SpokenWords]) -> np.ndarray:
    """The errors of starts and ends of all words, in seconds, for the true texts (W, 2)."""
    pretrained = load_pretrained(run)
    recognizer = Recognizer(pretrained)
    errors = []
    for words in spoken:
        tokens = pretrained.vocabulary.encode(words.text)
        waveform = torch.from_numpy(words.samples)[None]
        with torch.no_grad():
            frames = recognizer.encode(waveform, torch.tensor([waveform.shape[1]]))
            hypothesis = Hypothesis(tokens, [], torch.zeros(0), True)
            (times,) = character_times(pretrained.model, frames[0], [hypothesis], False)
        spans = times.spans * len(words.samples) / SAMPLE_RATE
        settled = settle_boundaries(spans, words.text, words.samples)
        for (first, end), truth in zip(word_ranges(words.text), words.times, strict=True):
            errors.append((settled[first, 0] - truth[0], settled[end - 1, 1] - truth[1]))
    return np.array(errors)


@pytest.fixture(scope="module")
def quickstart() -> Path:
    if not (QUICKSTART / "model.safetensors").is_file():
        pytest.skip("needs runs/quickstart: make quickstart")
    return QUICKSTART


@pytest.mark.prove
def test_the_quick_starts_model_finds_the_words_of_a_synthesizer(quickstart: Path) -> None:
    """Spoken by voices that it never heard; eSpeak NG says where it begins each word."""
    lines = [line for line in script(PrepareOptions()) if line.split == "test"]
    with Synthesizer() as synthesizer:
        spoken = [
            words
            for line in lines
            if (words := speak_words(synthesizer, line.text, line.voice, line.rate)) is not None
        ]
    errors = 1000 * np.abs(boundary_errors(quickstart, spoken))
    assert len(errors) > 500
    print(f"{len(errors)} words: median {np.median(errors):.0f}, mean {errors.mean():.0f} ms")
    assert np.median(errors) < 80


@pytest.mark.prove
@pytest.mark.parametrize("kind", ["noise", "bursts", "chords"])
def test_noise_that_passes_for_speech_is_doubtful(quickstart: Path, kind: str) -> None:
    """What the speech detector would leave out, given to the model all the same."""
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(0).standard_normal(len(time))
    samples = {
        "noise": noise,
        "bursts": noise * (1 + np.sin(8 * np.pi * time)),
        "chords": sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 277, 330)),
    }[kind]
    samples = (0.1 * samples).astype(np.float32)
    recognizer = Recognizer.from_pretrained(quickstart, "cpu")
    (recognized,) = recognizer.recognize([SpeechSegment(samples, 0, len(samples))])
    assert recognized.segment.doubtful
