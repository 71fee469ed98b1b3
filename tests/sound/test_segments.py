"""Speech segments: found at any level, whatever the blocks; cut at the quietest place.

The voice is eSpeak NG's.
"""

import re
from itertools import pairwise

import numpy as np
import pytest

from sorigeul.base.errors import UserError
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.segments import SegmentedRecording, Segmenter, SegmentLimits, SpeechSegment

pytest.importorskip("espeakng_loader", reason="needs the extra demo: pip install '.[demo]'")


def say(text: str) -> Samples:
    """A sentence (N,), without the silence at its ends."""
    from sorigeul.synthesis.espeak import Synthesizer

    with Synthesizer() as synthesizer:
        samples = synthesizer.speak(text, "linda", 200, 50, 50)
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return np.asarray(samples[loud[0] : loud[-1]], np.float32)


VOICE = say("오늘은 날씨가 참 좋네요")
SECONDS = len(VOICE) / SAMPLE_RATE  # about two


def hush(seconds: float, level: float = 3e-4, seed: int = 0) -> Samples:
    """The faint noise of a room (N,)."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE))
    return (level * noise).astype(np.float32)


def segments(samples: Samples, limits: SegmentLimits | None = None) -> list[SpeechSegment]:
    return SegmentedRecording.from_samples(samples, limits).segments


def spans(found: list[SpeechSegment]) -> list[tuple[float, float]]:
    """Where the segments begin and end, in seconds."""
    return [(segment.start / SAMPLE_RATE, segment.end / SAMPLE_RATE) for segment in found]


def noises(kind: str, seconds: int) -> Samples:
    """Sound in which nobody speaks (N,)."""
    time = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    white = np.random.default_rng(0).standard_normal(len(time))
    if kind == "room":
        brown = np.cumsum(white)
        brown -= np.convolve(brown, np.ones(800) / 800, "same")
        return np.float32(0.003 * brown / np.abs(brown).max() + 0.0005 * white)
    if kind == "hum":
        tones_of_mains = [np.sin(2 * np.pi * 60 * k * time) / k for k in (1, 2, 3, 5)]
        return np.float32(0.02 * np.sum(tones_of_mains, axis=0) + 0.002 * white)
    if kind == "chords":
        chord = [np.sin(2 * np.pi * hertz * time) for hertz in (261.6, 329.6, 392.0)]
        return np.float32(0.05 * np.sum(chord, axis=0) * (1 + np.sin(4 * np.pi * time)))
    return np.float32(0.2 * white)


@pytest.mark.parametrize("seconds", [3, 15, 40])
@pytest.mark.parametrize("kind", ["room", "hum", "chords", "white"])
def test_there_is_no_speech_where_nobody_speaks(kind: str, seconds: int) -> None:
    recording = SegmentedRecording.from_samples(noises(kind, seconds))
    assert recording.segments == []
    assert recording.account == ("no speech found",)
    assert recording.duration == seconds
    assert recording.speech_span == slice(None)


@pytest.mark.parametrize(("seconds", "at"), [(6, 2), (10, 1), (10, 6), (19, 1), (19, 14), (21, 14)])
def test_silence_around_speech_is_left_out(seconds: int, at: int) -> None:
    samples = hush(seconds, 5e-4)
    samples[at * SAMPLE_RATE : at * SAMPLE_RATE + len(VOICE)] += VOICE
    ((start, end),) = spans(segments(samples))
    assert start == pytest.approx(at - 0.1, abs=0.2)
    assert end == pytest.approx(at + SECONDS + 0.1, abs=0.2)


@pytest.mark.parametrize("decibels", [0, 20, 40, 50])
def test_speech_is_found_at_any_level(decibels: int) -> None:
    pause = np.zeros(SAMPLE_RATE, np.float32)
    loud = np.concatenate((pause, VOICE, pause, VOICE, pause))
    quiet = np.round(loud * 10 ** (-decibels / 20) * 32768) / 32768  # in the steps of 16 bits
    found = spans(segments(quiet.astype(np.float32)))
    assert len(found) == 2
    for (start, end), begin in zip(found, (1, 2 + SECONDS), strict=True):
        assert start == pytest.approx(begin, abs=0.4)
        assert end == pytest.approx(begin + SECONDS, abs=0.4)


@pytest.mark.parametrize("decibels", [18, 30])
def test_the_quiet_side_of_a_call_is_found_between_loud_sentences(decibels: int) -> None:
    quiet = VOICE * np.float32(10 ** (-decibels / 20))
    pause = hush(1.0, 1e-4)
    found = spans(segments(np.concatenate((VOICE, pause, quiet, pause, VOICE, pause))))
    assert len(found) == 3
    assert found[1][0] == pytest.approx(SECONDS + 1, abs=0.4)
    assert found[1][1] == pytest.approx(2 * SECONDS + 1, abs=0.5)


@pytest.mark.parametrize("size", [1, 160, 4097, 10**6])
def test_the_size_of_the_blocks_changes_nothing(size: int) -> None:
    parts = [part for _ in range(3) for part in (VOICE, hush(0.9))]
    samples = np.concatenate(parts)[: None if size > 1 else 3 * SAMPLE_RATE]
    expected = segments(samples, SegmentLimits(4.0))
    segmenter = Segmenter(SegmentLimits(4.0))
    found: list[SpeechSegment] = []
    for start in range(0, len(samples), size):
        found += segmenter.feed(samples[start : start + size])
    found += segmenter.finish()
    assert spans(found) == spans(expected)
    for segment, other in zip(found, expected, strict=True):
        assert np.array_equal(segment.samples, other.samples)
    assert segmenter.samples == len(samples)


def test_a_segment_is_given_out_as_soon_as_it_has_ended() -> None:
    segmenter = Segmenter(SegmentLimits())
    assert not list(segmenter.feed(VOICE))
    (segment,) = segmenter.feed(hush(4.0))
    assert segment.end / SAMPLE_RATE == pytest.approx(SECONDS, abs=0.3)
    assert segmenter.settled >= segment.end


def test_a_pause_longer_than_the_limit_ends_a_segment() -> None:
    samples = np.concatenate((VOICE, hush(0.5), VOICE))
    assert len(segments(samples, SegmentLimits(max_pause=0.7))) == 1
    assert len(segments(samples, SegmentLimits(max_pause=0.3))) == 2


def test_speech_that_is_too_long_is_cut_in_its_pauses() -> None:
    """Of 0.2 s, each after two seconds of voice; no segment is longer than the limit."""
    samples = np.concatenate([part for _ in range(8) for part in (VOICE, hush(0.2))])
    found = segments(samples, SegmentLimits(7.0))
    assert len(found) >= 3
    assert not any(segment.overlap_before or segment.overlap_after for segment in found)
    for segment, following in pairwise(found):
        place = segment.end / SAMPLE_RATE % (SECONDS + 0.2)
        assert place == pytest.approx(SECONDS + 0.1, abs=0.15)
        assert segment.end <= following.start
    assert all(end - start <= 7 for start, end in spans(found))


def test_without_any_pause_segments_overlap() -> None:
    """They share a second on both sides of the cut, and no sample is lost."""
    words = [say(text) for text in ("우리나라만나요", "어머니나오라네요", "아마내일알려주나요")]
    samples = np.concatenate(words * 3)
    samples += hush(len(samples) / SAMPLE_RATE, level=0.03)  # which fills every gap
    found = segments(samples, SegmentLimits(6.0))
    cuts = [pair for pair in pairwise(found) if pair[0].overlap_after]
    assert cuts
    for left, right in cuts:
        assert left.end == right.start
        assert left.overlap_after == right.overlap_before == SAMPLE_RATE
    for segment in found:
        assert len(segment.samples) <= 6.3 * SAMPLE_RATE
        first = segment.start - segment.overlap_before
        last = segment.end + segment.overlap_after
        assert np.array_equal(segment.samples, samples[first:last])


def test_a_cut_within_the_first_second_has_all_that_comes_before_it_as_its_overlap() -> None:
    """As a model of short utterances cuts a recording that is speech from its first sample."""
    words = [say(text) for text in ("우리나라만나요", "어머니나오라네요", "아마내일알려주나요")]
    samples = np.concatenate(words)[2048:]
    samples[30 * 512 : 33 * 512] *= 0.4  # the quietest place, though no pause
    samples += hush(len(samples) / SAMPLE_RATE, level=0.03)
    first, second, *_ = segments(samples, SegmentLimits(2.6))
    assert first.start == 0
    assert first.end == second.start == second.overlap_before < SAMPLE_RATE
    assert np.array_equal(second.samples[: first.end], samples[: first.end])


@pytest.mark.parametrize(
    ("longest", "expected"), [(None, 15.0), (1.5, 4.0), (8.0, 8.0), (90.0, 30.0)]
)
def test_segments_are_as_long_as_the_utterances_of_the_training(
    longest: float | None, expected: float
) -> None:
    assert SegmentLimits.for_longest_utterance(longest).max_seconds == expected


def test_much_silence_is_told() -> None:
    samples = np.concatenate((hush(8.0), VOICE))
    (account,) = SegmentedRecording.from_samples(samples).account
    assert re.fullmatch(rf"no speech in 7\.[5-9] of {len(samples) / SAMPLE_RATE:.1f} s", account)


@pytest.mark.parametrize("size", [160, 7919])
def test_the_running_segment_is_a_view_of_what_becomes_a_segment(size: int) -> None:
    """Its start, its samples so far, and nothing of it where nobody speaks."""
    samples = np.concatenate((hush(1.5), VOICE, hush(1.0), VOICE, VOICE, hush(2.5)))
    segmenter = Segmenter(SegmentLimits(4.0))
    found: list[SpeechSegment] = []
    seen: list[SpeechSegment] = []
    for first in range(0, len(samples), size):
        found += segmenter.feed(samples[first : first + size])
        running = segmenter.running
        if running is not None:
            begin = running.start - running.overlap_before
            assert np.array_equal(running.samples, samples[begin : running.end])
            assert running.end <= segmenter.samples
            assert segmenter.settled <= running.start
            seen.append(running)
    assert segmenter.running is None
    found += segmenter.finish()
    starts = [(segment.start, segment.overlap_before) for segment in found]
    seen_starts = {(running.start, running.overlap_before) for running in seen}
    assert len(seen_starts) >= 2
    assert seen_starts <= set(starts)


def test_what_counts_as_speech_and_how_much_is_kept_before_it_may_be_chosen() -> None:
    samples = np.concatenate((hush(2.0), VOICE, hush(2.0)))
    ((start, end),) = spans(segments(samples))
    for padding in (0.0, 0.5):
        ((begin, same_end),) = spans(segments(samples, SegmentLimits(padding=padding)))
        assert start - begin == pytest.approx(padding - 0.2, abs=1e-6)
        assert same_end == end
    strict = spans(segments(samples, SegmentLimits(threshold=0.95)))
    assert sum(last - first for first, last in strict) <= end - start


@pytest.mark.parametrize(
    "values", [{"max_pause": 0.0}, {"padding": -0.1}, {"padding": 2.0}, {"threshold": 1.0}]
)
def test_limits_that_make_no_sense_are_refused(values: dict[str, float]) -> None:
    (name,) = values
    with pytest.raises(UserError, match=f"{name} is {values[name]}, but must be"):
        SegmentLimits(**values)
