"""A running stream: what is final equals `transcribe`, and provisional text never delays it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers import tones
from helpers.recordings import monologue
from helpers.transcripts import Wave, assert_same

from sorigeul import Recognizer
from sorigeul.recognition.live import (
    FinalSegment,
    LiveEvent,
    LiveTranscription,
    ProvisionalText,
    SpeechStarted,
    SpeechStopped,
    StartProvisional,
)
from sorigeul.recognition.overlaps import RecognizedSegment
from sorigeul.recognition.transcription import Transcription
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.segments import SegmentedRecording, SpeechSegment

TENTH = SAMPLE_RATE // 10


@pytest.fixture(scope="module")
def recognizer(run: Path) -> Recognizer:
    """The trained model of `run`, without a beam, which would only take longer."""
    return Recognizer.from_pretrained(run, "cpu", beam=1)


@pytest.fixture(scope="module")
def stream(speech: Wave) -> Wave:
    """Sentences with pauses, and nine seconds of a voice without any, which must be cut."""
    return np.concatenate((speech[: 6 * SAMPLE_RATE], monologue(9), speech[-4 * SAMPLE_RATE :]))


@pytest.fixture(scope="module")
def expected(recognizer: Recognizer, stream: Wave) -> Transcription:
    """What `transcribe` makes of the same samples; some of its segments overlapped."""
    recording = SegmentedRecording.from_samples(stream, recognizer.limits)
    assert any(segment.overlap_after for segment in recording.segments)
    return recognizer.transcribe_all([recording])[0]


def listening(recognizer: Recognizer, start: StartProvisional | None = None) -> LiveTranscription:
    vocabulary = recognizer.pretrained.vocabulary
    return LiveTranscription(recognizer.recognize, vocabulary, recognizer.limits, start)


def heard(live: LiveTranscription, samples: Wave, size: int) -> Iterator[tuple[float, LiveEvent]]:
    """Each event, with the seconds that had been fed by then."""
    for start in range(0, len(samples), size):
        yield from ((live.seconds, event) for event in live.feed(samples[start : start + size]))
    yield from ((live.seconds, event) for event in live.finish())


def at_once(recognizer: Recognizer) -> StartProvisional:
    """Recognises at once, as a machine would that has always time."""

    def start(speech: SpeechSegment) -> Future[list[RecognizedSegment]]:
        result: Future[list[RecognizedSegment]] = Future()
        result.set_result(recognizer.recognize([speech]))
        return result

    return start


def assert_final(events: Sequence[LiveEvent], expected: Transcription, seconds: float) -> None:
    segments = [event.segment for event in events if isinstance(event, FinalSegment)]
    assert_same(Transcription.from_segments(segments, seconds, ()), expected, 1e-3)


@pytest.mark.parametrize("size", [160, TENTH, 7919, 10**7])
def test_what_is_final_equals_transcribe_whatever_the_size_of_the_blocks(
    recognizer: Recognizer, stream: Wave, expected: Transcription, size: int
) -> None:
    live = listening(recognizer)
    events = [event for _, event in heard(live, stream, size)]
    assert_final(events, expected, live.seconds)
    assert not live.speaking


def test_events_come_in_the_order_of_speech(
    recognizer: Recognizer, stream: Wave, expected: Transcription
) -> None:
    """Started, provisional and final texts, stopped, the last final texts; times never go back."""
    live = listening(recognizer, at_once(recognizer))
    events = [event for _, event in heard(live, stream, TENTH)]
    assert_final(events, expected, live.seconds)
    speaking, unfinished, spoken_until = False, False, 0.0
    for event in events:
        match event:
            case SpeechStarted(seconds):
                assert not speaking
                assert not unfinished  # the last text of the speech before has come
                assert seconds >= spoken_until
                speaking, started, unfinished = True, seconds, True
            case SpeechStopped(seconds):
                assert speaking
                speaking, spoken_until = False, seconds
                assert seconds > started
            case ProvisionalText(text):
                assert text
                assert speaking
            case FinalSegment(segment, ends_speech):
                assert segment.start >= started
                assert not (speaking and ends_speech)
                if ends_speech:
                    assert segment.end == spoken_until
                    unfinished = False
    assert not speaking
    assert not unfinished
    kinds = [type(event) for event in events]
    assert kinds.count(SpeechStarted) == kinds.count(SpeechStopped) > 3
    assert kinds.count(ProvisionalText) > 10
    assert not all(event.ends_speech for event in events if isinstance(event, FinalSegment))


def test_provisional_text_comes_at_most_every_half_second(
    recognizer: Recognizer, stream: Wave
) -> None:
    begun: list[float] = []
    recognize = at_once(recognizer)

    def start(speech: SpeechSegment) -> Future[list[RecognizedSegment]] | None:
        begun.append(live.seconds)
        # No longer than what the model has heard in training, and nothing that was not heard yet.
        assert len(speech.samples) <= recognizer.limits.max_seconds * SAMPLE_RATE
        assert speech.end <= live.seconds * SAMPLE_RATE
        first = speech.start - speech.overlap_before
        assert np.array_equal(speech.samples, stream[first : speech.end])
        return recognize(speech)

    live = listening(recognizer, start)
    for _ in heard(live, stream, TENTH):
        pass
    assert len(begun) > 10
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(begun))


def test_the_provisional_text_of_long_speech_holds_what_waits_for_its_neighbour(
    recognizer: Recognizer, stream: Wave
) -> None:
    """Just before a final text that others follow, it is the beginning of the provisional one."""
    live = listening(recognizer, at_once(recognizer))
    provisional, compared = "", 0
    for _, event in heard(live, stream, TENTH):
        if isinstance(event, ProvisionalText):
            provisional = event.text
        elif isinstance(event, FinalSegment) and not event.ends_speech:
            final = event.segment.text
            compared += 1
            # The seam may still move by what follows.
            assert provisional[: len(final) // 2] == final[: len(final) // 2]
    assert compared


def test_a_slow_recogniser_loses_provisional_texts_and_nothing_else(
    recognizer: Recognizer, stream: Wave, expected: Transcription
) -> None:
    """It takes 2.5 s for each; one that is late for its segment is never shown."""
    under_way: list[tuple[float, SpeechSegment, Future[list[RecognizedSegment]]]] = []

    def start(speech: SpeechSegment) -> Future[list[RecognizedSegment]]:
        assert not under_way  # never two at a time
        under_way.append((live.seconds, speech, Future()))
        return under_way[0][-1]

    live = listening(recognizer, start)
    events: list[LiveEvent] = []
    ready = late = 0
    for first in range(0, len(stream), TENTH):
        events += live.feed(stream[first : first + TENTH])
        if under_way and live.seconds - under_way[0][0] > 2.45:
            _, speech, result = under_way.pop()
            result.set_result(recognizer.recognize([speech]))
            ready += 1
            spoken = [event.segment.end for event in events if isinstance(event, FinalSegment)]
            late += any(end * SAMPLE_RATE >= speech.end for end in spoken)
    events += live.finish()
    assert_final(events, expected, live.seconds)
    assert late
    shown = sum(isinstance(event, ProvisionalText) for event in events)
    assert 0 < shown <= ready - late


def test_a_recogniser_without_time_gives_no_provisional_text(
    recognizer: Recognizer, stream: Wave, expected: Transcription
) -> None:
    live = listening(recognizer, lambda _: None)
    events = [event for _, event in heard(live, stream, TENTH)]
    assert not any(isinstance(event, ProvisionalText) for event in events)
    assert_final(events, expected, live.seconds)


def test_a_look_that_never_ends_delays_nothing(
    recognizer: Recognizer, stream: Wave, expected: Transcription
) -> None:
    """As if the machine had begun with it and could not be stopped."""
    looks: list[Future[list[RecognizedSegment]]] = []

    def start(_: SpeechSegment) -> Future[list[RecognizedSegment]]:
        looks.append(Future())
        looks[-1].set_running_or_notify_cancel()
        return looks[-1]

    live = listening(recognizer, start)
    assert_final([event for _, event in heard(live, stream, TENTH)], expected, live.seconds)
    assert len(looks) == 1


def test_silence_and_short_sounds_are_no_speech(recognizer: Recognizer) -> None:
    noise = 0.001 * np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE).astype(np.float32)
    noise[2 * SAMPLE_RATE : 2 * SAMPLE_RATE + 800] += tones.synthesize("가")[:800]
    live = listening(recognizer, at_once(recognizer))
    assert list(heard(live, noise, TENTH)) == []
    assert live.account() == ("no speech found",)
