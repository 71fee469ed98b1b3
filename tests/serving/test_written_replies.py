"""`serve --written`: every reply has numbers in digits, and says what was heard where it can."""

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest
import soxr
from helpers.recordings import sound_file
from helpers.servers import Server, serving_with_wyoming
from wyoming.asr import Transcript, TranscriptChunk, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient

from sorigeul import Recognizer
from sorigeul.recognition.transcription import Transcription
from sorigeul.recognition.writers import write
from sorigeul.recognition.written_text import written_transcription
from sorigeul.sound.audio import SAMPLE_RATE, Samples

RATE = 24_000
TRANSCRIPTION = "conversation.item.input_audio_transcription"

Door = tuple[Server, int]
"""a server, and the port at which it speaks Wyoming"""


@pytest.fixture(scope="module")
def door(counting_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server that writes numbers in digits."""
    with serving_with_wyoming(
        tmp_path_factory.mktemp("written"), counting_run, "--written"
    ) as door:
        yield door


@pytest.fixture(scope="module")
def client(door: Door) -> openai.OpenAI:
    return door[0].client()


@pytest.fixture(scope="module")
def heard(counting_run: Path, wav: bytes) -> Transcription:
    """What was said in `wav`, in words."""
    return Recognizer.from_pretrained(counting_run, "cpu").transcribe(wav)


@pytest.fixture(scope="module")
def expected(heard: Transcription) -> Transcription:
    """The same in written form: several segments, each with digits."""
    transcription = written_transcription(heard)
    assert len(transcription.segments) > 1
    assert all(any(map(str.isdecimal, one.text)) for one in transcription.segments)
    return transcription


def transcribe(client: openai.OpenAI, recording: bytes, **fields: Any) -> Any:
    return client.audio.transcriptions.create(
        file=("talk.wav", recording), model="counting", **fields
    )


@pytest.mark.parametrize("format", ["text", "srt", "vtt"])
def test_text_and_subtitles_are_written(
    client: openai.OpenAI, wav: bytes, expected: Transcription, format: str
) -> None:
    reply = transcribe(client, wav, response_format=format)
    plain = f"{expected.text}\n"
    assert reply == (plain if format == "text" else write(format, expected))


def test_json_has_what_was_heard_beside_it(
    client: openai.OpenAI, wav: bytes, expected: Transcription, heard: Transcription
) -> None:
    reply = transcribe(client, wav, include=["logprobs"])
    assert (reply.text, reply.spoken) == (expected.text, heard.text)
    assert "".join(token.token for token in reply.logprobs) == expected.text

    times = ["word", "segment"]
    reply = transcribe(client, wav, response_format="verbose_json", timestamp_granularities=times)
    assert (reply.text, reply.spoken) == (expected.text, heard.text)
    assert [one.text for one in reply.segments] == [one.text for one in expected.segments]
    assert [one.spoken for one in reply.segments] == [one.text for one in heard.segments]
    assert [len(one.tokens) for one in reply.segments] == [len(one.text) for one in heard.segments]
    words = [word for segment in expected.segments for word in segment.words]
    assert [(word.word, word.start) for word in reply.words] == [
        (word.word, pytest.approx(word.start, abs=1e-3)) for word in words
    ]


def test_a_stream_takes_nothing_back(
    client: openai.OpenAI, wav: bytes, expected: Transcription, heard: Transcription
) -> None:
    *deltas, done = transcribe(client, wav, stream=True)
    assert done.text == "".join(event.delta for event in deltas) == expected.text
    assert done.spoken == heard.text
    assert done.usage.output_tokens == len(heard.text)
    assert [event.segment["text"] for event in deltas] == [one.text for one in expected.segments]
    assert [event.segment["spoken"] for event in deltas] == [one.text for one in heard.segments]


def as_pcm(samples: Samples, rate: int) -> bytes:
    """Samples at 16 kHz as 16 bits at another rate."""
    there = soxr.resample(samples, SAMPLE_RATE, rate)
    return bytes((np.clip(there, -1, 1) * 32767).astype("<i2").tobytes())


def test_live_text_is_written_whenever_it_comes(
    client: openai.OpenAI, sentence: Samples, counting_run: Path
) -> None:
    """Provisional text, deltas and what they make."""
    pcm = as_pcm(sentence, RATE)
    recognizer = Recognizer.from_pretrained(counting_run, "cpu")
    heard = recognizer.transcribe(sound_file(np.frombuffer(pcm, "<i2"), rate=RATE))
    expected = written_transcription(heard).segments
    events: list[dict[str, Any]] = []
    with client.realtime.connect(extra_query={"intent": "transcription"}) as live:
        live.session.update(session={"type": "transcription", "provisional": True})

        def receive_until(kind: str, *others: str) -> None:
            while True:
                events.append(json.loads(live.recv_bytes()))
                assert events[-1]["type"] != "error" or "error" in (kind, *others), events[-1]
                if events[-1]["type"] in (kind, *others):
                    return

        receive_until("session.updated")
        first = len(pcm) // 8 // 2 * 2  # within the first sentence
        live.input_audio_buffer.append(audio=base64.b64encode(pcm[:first]).decode())
        while "sorigeul.transcription.provisional" not in [event["type"] for event in events]:
            live.input_audio_buffer.append(audio="")  # asks for what is ready
            live.send({"type": "none"})
            receive_until("error")
        live.input_audio_buffer.append(audio=base64.b64encode(pcm[first:]).decode())
        live.input_audio_buffer.commit()
        for _ in expected:
            receive_until(f"{TRANSCRIPTION}.completed")
    completed = [one for one in events if one["type"] == f"{TRANSCRIPTION}.completed"]
    assert [one["transcript"] for one in completed] == [one.text for one in expected]
    assert [one["spoken"] for one in completed] == [one.text for one in heard.segments]
    for event, segment in zip(completed, expected, strict=True):
        assert [word["word"] for word in event["words"]] == segment.text.split()
        own = [one for one in events if one.get("item_id") == event["item_id"]]
        deltas = [one["delta"] for one in own if one["type"] == f"{TRANSCRIPTION}.delta"]
        assert "".join(deltas) == segment.text
    shown = [one for one in events if one["type"] == "sorigeul.transcription.provisional"]
    assert any(any(map(str.isdecimal, one["transcript"])) for one in shown)


def test_wyoming_gets_the_written_text(
    door: Door, sentence: Samples, expected: Transcription
) -> None:
    data = as_pcm(sentence, SAMPLE_RATE)

    async def talk() -> tuple[list[str], str]:
        pieces, whole = [], ""
        async with AsyncTcpClient("127.0.0.1", door[1]) as client:
            for event in (
                AudioStart(SAMPLE_RATE, 2, 1),
                AudioChunk(SAMPLE_RATE, 2, 1, data),
                AudioStop(),
            ):
                await client.write_event(event.event())
            while (answer := await client.read_event()) is not None:
                if TranscriptChunk.is_type(answer.type):
                    pieces.append(TranscriptChunk.from_event(answer).text)
                elif Transcript.is_type(answer.type):
                    whole = Transcript.from_event(answer).text
                elif TranscriptStop.is_type(answer.type):
                    break
        return pieces, whole

    pieces, whole = asyncio.run(asyncio.wait_for(talk(), 60))
    assert "".join(pieces) == whole == expected.text
