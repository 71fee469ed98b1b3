"""A recording that is transcribed while it is read: the same text, early, and none of it lost."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.transcripts import Wave, assert_same, encoded

from sorigeul import Recognizer
from sorigeul.recognition.streaming import TranscriptionStream
from sorigeul.recognition.transcription import Segment
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, AudioOptions, AudioStream, load
from sorigeul.sound.segments import SegmentedRecording


def test_a_stream_has_the_same_segments_as_the_whole(
    recognizer: Recognizer, speech: Wave, tmp_path: Path
) -> None:
    """The first comes before the recording has been read to its end."""
    path = tmp_path / "speech.wav"
    soundfile.write(path, speech, SAMPLE_RATE)
    whole = recognizer.transcribe_all([SegmentedRecording.from_samples(load(path).samples)])[0]
    for live in (False, True):
        with recognizer.open(path, live=live) as stream:
            segments = list(stream)
            streamed = stream.transcription()
        assert streamed.segments == segments
        assert_same(streamed, whole, tolerance=1e-3)


@pytest.mark.parametrize("channel", ["mix", "each"])
def test_batches_side_by_side_write_what_one_after_the_other_does(
    run: Path, speech: Wave, channel: Literal["mix", "each"], request: pytest.FixtureRequest
) -> None:
    recognizer = Recognizer.from_pretrained(run, "cpu")
    recognizer.batch_seconds = 6.0
    both = encoded(np.stack((speech, speech[::-1]), 1), SAMPLE_RATE, "WAV")
    options = AudioOptions(channel=channel)
    alone = recognizer.transcribe(both, options=options)
    request.getfixturevalue("three_threads")
    assert recognizer.threads().count == 3
    together = recognizer.transcribe(both, options=options)
    assert together.account == alone.account
    assert len(together.segments) > 3
    assert_same(together, alone, tolerance=1e-5)


def test_channels_are_transcribed_one_by_one_in_the_order_of_time(recognizer: Recognizer) -> None:
    pause = np.zeros(round(1.5 * SAMPLE_RATE), np.float32)
    turns = [tones.synthesize(text, 1) for text in ("가나다라", "라다나가", "나나가가")]
    silent = [np.zeros_like(turn) for turn in turns]
    left = np.concatenate([turns[0], pause, silent[1], pause, turns[2], pause])
    right = np.concatenate([silent[0], pause, turns[1], pause, silent[2], pause])
    both = encoded(np.stack((left, right), 1), SAMPLE_RATE, "WAV")
    transcription = recognizer.transcribe(both, options=AudioOptions(channel="each"))
    assert [segment.channel for segment in transcription.segments] == ["left", "right", "left"]
    starts = [segment.start for segment in transcription.segments]
    assert starts == sorted(starts)
    alone = recognizer.transcribe(both, options=AudioOptions(channel="right"))
    assert [segment.text for segment in alone.segments] == [transcription.segments[1].text]


def test_what_was_heard_before_the_damage_is_not_lost(
    recognizer: Recognizer, speech: Wave, tmp_path: Path
) -> None:
    """A FLAC cut short: its text up to there, then the error, which the account tells too."""
    path = tmp_path / "cut.flac"
    content = encoded(speech, SAMPLE_RATE, "FLAC")
    path.write_bytes(content[: len(content) * 3 // 5])
    segments: list[Segment] = []
    with recognizer.open(path) as stream:
        with pytest.raises(AudioError, match=r"cut\.flac: cut short or damaged"):
            segments.extend(stream)  # keeps those before the error
        transcription = stream.transcription()
    assert len(segments) >= 3
    assert transcription.segments == segments
    assert "cut short or damaged" in transcription.account[-1]
    assert segments[-1].end > 8
    with pytest.raises(AudioError, match="cut short or damaged"):
        recognizer.transcribe(path)


def test_text_does_not_wait_for_the_end_of_a_long_silence(run: Path) -> None:
    """Nor for a channel in which nobody speaks any more."""
    recognizer = Recognizer.from_pretrained(run, "cpu")
    recognizer.batch_seconds = 10.0
    hum = [tones.synthesize(text, 1) for text in ("가나다라", "라다나가")]
    pause = np.zeros(SAMPLE_RATE, np.float32)
    left = np.concatenate((hum[0], pause, hum[1], np.zeros(60 * SAMPLE_RATE, np.float32)))
    blocks = np.array_split(np.stack((left, 0.001 * left[::-1])), 70, axis=1)
    read = 0

    class Stream:
        channels = ("left", "right")
        account = ()

        def __iter__(self) -> Iterator[Wave]:
            nonlocal read
            for block in blocks:
                read += block.shape[1]
                yield block

    stream = TranscriptionStream(
        cast(AudioStream, Stream()),
        partial(recognizer.threads().submit, recognizer.recognize),
        recognizer.pretrained.vocabulary,
        recognizer.limits,
        recognizer.batch_seconds,
    )
    lags = [read / SAMPLE_RATE - segment.end for segment in stream if segment.channel == "left"]
    assert len(lags) == 2
    assert max(lags) < 20
