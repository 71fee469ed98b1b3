"""The Wyoming protocol, driven by the package's own client and by hostile ones."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from helpers import tones
from helpers.processes import HANG_SECONDS, wait_until
from helpers.recordings import sound_file
from helpers.servers import Server, serving_with_wyoming
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong

from sorigeul import Recognizer

Result = TypeVar("Result")
Door = tuple[Server, int]
"""a server, and the port at which it speaks Wyoming"""


@pytest.fixture(scope="module")
def door(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A server that speaks Wyoming too."""
    with serving_with_wyoming(
        tmp_path_factory.mktemp("wyoming"), run, "--max_seconds", "30"
    ) as door:
        yield door


@pytest.fixture(scope="module")
def speech() -> np.ndarray[Any, np.dtype[np.int16]]:
    """Two sentences with pauses, at 48 kHz, in the steps of 16 bits."""
    pause = np.zeros(60_000, np.float32)
    spoken = [tones.synthesize(text, rate=48_000) for text in ("가나다라나가", "라다나가다라")]
    samples = np.concatenate([part for each in spoken for part in (each, pause)])
    return np.int16(np.clip(samples, -1, 1) * 32767)


def talk(door: Door, conversation: Callable[[AsyncTcpClient], Awaitable[Result]]) -> Result:
    """What comes of a conversation through the package's client."""

    async def run() -> Result:
        async with AsyncTcpClient("127.0.0.1", door[1]) as client:
            return await asyncio.wait_for(conversation(client), HANG_SECONDS)

    return asyncio.run(run())


async def answer(client: AsyncTcpClient, *questions: Eventable) -> Event:
    for question in questions:
        await client.write_event(question.event())
    event = await client.read_event()
    assert event is not None
    return event


def utterance(data: bytes, rate: int, channels: int = 1, width: int = 2) -> list[Eventable]:
    size = rate * channels * width // 10
    return [
        AudioStart(rate, width, channels),
        *(
            AudioChunk(rate, width, channels, data[first : first + size])
            for first in range(0, len(data), size)
        ),
        AudioStop(),
    ]


async def transcript(client: AsyncTcpClient, *events: Eventable) -> tuple[list[str], str]:
    """The pieces of an answer, and its whole."""
    for each in events:
        await client.write_event(each.event())
    kinds, pieces, whole = [], [], ""
    while not kinds or not TranscriptStop.is_type(kinds[-1]):
        event = await client.read_event()
        assert event is not None
        assert not Error.is_type(event.type), event.data
        kinds.append(event.type)
        if TranscriptChunk.is_type(event.type):
            pieces.append(TranscriptChunk.from_event(event).text)
        elif Transcript.is_type(event.type):
            whole = Transcript.from_event(event).text
            assert event.data["language"] == "ko"
    assert TranscriptStart.is_type(kinds[0])
    assert sum(map(Transcript.is_type, kinds)) == 1
    return pieces, whole


def test_a_server_says_what_it_is(door: Door) -> None:
    event = talk(door, lambda client: answer(client, Describe()))
    (program,) = Info.from_event(event).asr
    assert program.name == "sorigeul"
    assert program.installed
    assert program.supports_transcript_streaming
    assert program.requires_external_vad
    assert [(model.name, model.languages) for model in program.models] == [("tiny", ["ko"])]


def test_a_ping_is_answered(door: Door) -> None:
    event = talk(door, lambda client: answer(client, Ping(text="거기 있어요")))
    assert Pong.from_event(event).text == "거기 있어요"


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("asks", [True, False])
def test_the_text_equals_transcribe(
    door: Door,
    recognizer: Recognizer,
    speech: np.ndarray[Any, np.dtype[np.int16]],
    channels: int,
    asks: bool,
) -> None:
    """Piece by piece and as a whole, whether a client asks for it with `transcribe` or not."""
    expected = recognizer.transcribe(sound_file(speech, rate=48_000))
    assert len(expected.segments) == 2
    data = np.repeat(speech[:, None], channels, axis=1).astype("<i2").tobytes()
    events = utterance(data, 48_000, channels)
    request = Transcribe(name="tiny", language="ko", transcript_names=["가나", "TV ☎"])
    if asks:
        events = [request, *events]
    pieces, whole = talk(door, lambda client: transcript(client, *events))
    if asks:
        assert whole
    else:
        assert whole == expected.text
    assert len(pieces) == 2
    assert "".join(pieces) == whole


def test_one_connection_may_have_several_utterances(
    door: Door, recognizer: Recognizer, speech: np.ndarray[Any, np.dtype[np.int16]]
) -> None:
    wide = (speech.astype("<i4") * 65_536).tobytes()

    async def twice(client: AsyncTcpClient) -> list[str]:
        first = await transcript(client, *utterance(speech.tobytes(), 48_000))
        second = await transcript(client, *utterance(wide, 48_000, width=4))
        return [first[1], second[1]]

    expected = recognizer.transcribe(sound_file(speech, rate=48_000)).text
    assert talk(door, twice) == [expected, expected]


def test_silence_has_an_empty_text(door: Door) -> None:
    assert talk(door, lambda client: transcript(client, *utterance(bytes(32_000), 16_000))) == (
        [],
        "",
    )


START, CHUNK = AudioStart(16_000, 2, 1), AudioChunk(16_000, 2, 1, bytes(3200))


@pytest.mark.parametrize(
    ("events", "code"),
    [
        ([CHUNK], "bad_event"),
        ([AudioStop()], "bad_event"),
        ([Transcribe(name="none")], "model_not_found"),
        ([Transcribe(language="en")], "invalid_value"),
        ([AudioStart(16_000, 3, 1)], "unsupported_audio"),
        ([AudioStart(1, 2, 1)], "unsupported_audio"),
        ([AudioStart(16_000, 2, 0)], "unsupported_audio"),
        ([START, AudioChunk(48_000, 2, 1, bytes(3200))], "bad_event"),
        ([START, AudioChunk(16_000, 2, 1, bytes(3))], "bad_event"),
        ([START, *[AudioChunk(16_000, 2, 1, bytes(960_000))] * 3], "audio_too_long"),
    ],
)
def test_what_is_not_supported_is_refused(door: Door, events: list[Eventable], code: str) -> None:
    event = talk(door, lambda client: answer(client, *events))
    assert Error.from_event(event).code == code


@pytest.mark.parametrize(
    "data",
    [
        b"not JSON\n",
        b"[]\n",
        b"{}\n",
        b'{"type": 5}\n',
        b'{"type": "ping", "data": []}\n',
        b'{"type": "ping", "data_length": 1000000000}\n',
        b'{"type": "ping", "data_length": -5}\n',
        b'{"type": "audio-chunk", "payload_length": 10000000000}\n',
        b'{"type": "ping", "data_length": 2}\nxx',
        b"[" * 100_000,
        b"x" * 100_000,
        b"\x00\xff" * 100 + b"\n",
    ],
)
def test_bytes_that_make_no_sense_are_refused_and_do_no_harm(door: Door, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", door[1]), HANG_SECONDS) as opened:
        opened.sendall(data)
        with opened.makefile("rb") as answers:
            head = json.loads(answers.readline())
            assert head["type"] == "error"
            details = json.loads(answers.read(head["data_length"]))
            assert details["code"] == "bad_event"
            assert answers.read() == b""  # closed
    assert Pong.is_type(talk(door, lambda client: answer(client, Ping())).type)


def test_a_client_that_leaves_gives_its_place_back(
    door: Door, speech: np.ndarray[Any, np.dtype[np.int16]]
) -> None:
    server, port = door

    async def half(client: AsyncTcpClient) -> None:
        for event in utterance(speech.tobytes(), 48_000)[:-1]:
            await client.write_event(event.event())
        await answer(client, Ping())
        assert server.metric("sorigeul_requests_active") == 1

    talk(door, half)
    assert wait_until(lambda: server.metric("sorigeul_requests_active") == 0)
    with socket.create_connection(("127.0.0.1", port)) as opened:
        opened.sendall(b'{"type": "audio-chunk", "payload_length": 1000}\n' + bytes(10))
    assert Pong.is_type(talk(door, lambda client: answer(client, Ping())).type)
    assert "Traceback" not in server.process.outputs[1].read_text()
