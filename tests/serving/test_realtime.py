"""The WebSocket `/v1/realtime`, driven by OpenAI's client and by hostile ones."""

import base64
import io
import json
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from helpers import recordings, tones
from helpers.processes import HANG_SECONDS, wait_until
from helpers.recordings import sound_file
from helpers.servers import Server, serving
from openai.resources.realtime.realtime import RealtimeConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from sorigeul import Recognizer
from sorigeul.recognition.transcription import Transcription
from sorigeul.sound.audio import SAMPLE_RATE, Samples

RATE = 24_000
TENTH = RATE // 10 * 2  # bytes of a tenth of a second
KEY = "a key of the tests"
TRANSCRIPTION = "conversation.item.input_audio_transcription"

Event = dict[str, Any]


@pytest.fixture(scope="module")
def pcm() -> bytes:
    """Three sentences as clients send them, 16 bits at 24 kHz, with pauses."""
    pause = np.zeros(5 * RATE // 4, np.float32)
    sentences = ("가나다라나가", "라다나가다라", "나가나다라다")
    spoken = [tones.synthesize(text, rate=RATE) for text in sentences]
    return to_pcm(np.concatenate([part for each in spoken for part in (each, pause)]))


@pytest.fixture(scope="module")
def expected(recognizer: Recognizer, pcm: bytes) -> Transcription:
    """What `transcribe` makes of `pcm`: several segments."""
    transcription = recognizer.transcribe(as_file(pcm))
    assert len(transcription.segments) == 3
    assert all(segment.text for segment in transcription.segments)
    return transcription


@pytest.fixture(scope="module")
def monologue() -> bytes:
    """Twelve seconds of a voice without a pause: longer than a segment may be."""
    return to_pcm(soxr.resample(recordings.monologue(12), SAMPLE_RATE, RATE))


@pytest.fixture(scope="module")
def strict(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for a key, and has limits."""
    folder = tmp_path_factory.mktemp("strict")
    (folder / "keys").write_text(KEY)
    options = ("--api_key", folder / "keys", "--max_seconds", "20", "--queue", "2")
    with serving(folder / "server", run, *options) as running:
        yield running


def to_pcm(samples: Samples) -> bytes:
    """Samples at 24 kHz as bytes."""
    return bytes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def speak(text: str) -> bytes:
    """A text of the tones, without pauses."""
    return to_pcm(tones.synthesize(text, rate=RATE))


def as_file(pcm: bytes) -> bytes:
    """A recording of the same samples, for `transcribe`."""
    return sound_file(np.frombuffer(pcm, "<i2"), rate=RATE)


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Session:
    """A session through OpenAI's client; events are dicts, as they came."""

    def __init__(self, connection: RealtimeConnection) -> None:
        self.connection = connection
        self.opened = self.receive()
        assert self.opened["type"] == "session.created"

    def update(self, **audio_input: Any) -> Event:
        """Change settings of the input; the answer."""
        session = {"type": "transcription", "audio": {"input": audio_input}}
        self.connection.session.update(session=session)
        return self.receive()

    def append(self, data: bytes, size: int = TENTH) -> None:
        for start in range(0, len(data), size):
            self.connection.input_audio_buffer.append(audio=in_base64(data[start : start + size]))

    def commit(self) -> None:
        self.connection.input_audio_buffer.commit()

    def receive(self) -> Event:
        event: Event = json.loads(self.connection.recv_bytes())
        assert event["event_id"]
        return event

    def until(self, done: Callable[[Event], bool]) -> list[Event]:
        """The events up to the first that is the last one."""
        events = [self.receive()]
        while not done(events[-1]):
            events.append(self.receive())
        return events

    def until_texts(self, count: int) -> list[Event]:
        """The events until so many texts are complete, without those of silence."""
        completed = 0

        def done(event: Event) -> bool:
            nonlocal completed
            assert event["type"] != "error", event
            is_text = event["type"] == f"{TRANSCRIPTION}.completed" and event["transcript"]
            completed += bool(is_text)
            return completed == count

        return self.until(done)


@contextmanager
def session(server: Server, **query: str) -> Iterator[Session]:
    client = server.client()
    query = query or {"intent": "transcription"}
    with client.realtime.connect(extra_query=query) as connection:
        yield Session(connection)


@contextmanager
def raw_socket(server: Server, query: str = "intent=transcription", **options: Any) -> Iterator:
    url = f"ws://127.0.0.1:{server.port}/v1/realtime?{query}"
    with connect(url, open_timeout=HANG_SECONDS, close_timeout=1, **options) as opened:
        yield opened


def received(opened: ClientConnection) -> Event:
    event: Event = json.loads(opened.recv(HANG_SECONDS))
    return event


def of_type(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def texts(events: list[Event]) -> list[str]:
    completed = of_type(events, f"{TRANSCRIPTION}.completed")
    return [event["transcript"] for event in completed if event["transcript"]]


@pytest.mark.parametrize("size", [TENTH // 5, 6 * TENTH + 2, 10**7])
def test_the_text_of_a_stream_equals_transcribe(
    server: Server, expected: Transcription, pcm: bytes, size: int
) -> None:
    with session(server) as live:
        live.append(pcm, size)
        live.commit()
        events = live.until_texts(3)
    completed = of_type(events, f"{TRANSCRIPTION}.completed")
    for event, segment in zip(completed, expected.segments, strict=True):
        assert event["transcript"] == segment.text
        assert event["start"] == pytest.approx(segment.start, abs=1e-3)
        assert event["end"] == pytest.approx(segment.end, abs=1e-3)
        assert event["confidence"] == pytest.approx(segment.confidence, abs=1e-3)
        assert event["doubtful"] == segment.doubtful
        words = [(word["word"], word["start"], word["end"]) for word in event["words"]]
        assert words == [
            (word.word, pytest.approx(word.start, abs=2e-3), pytest.approx(word.end, abs=2e-3))
            for word in segment.words
        ]
        assert event["usage"]["type"] == "duration"
        assert event["usage"]["seconds"] == pytest.approx(segment.end - segment.start, abs=2e-3)


def test_events_come_in_the_order_of_the_protocol(server: Server, pcm: bytes) -> None:
    with session(server) as live:
        live.append(pcm)
        live.commit()
        events = live.until_texts(3)
    assert len({event["event_id"] for event in events}) == len(events)
    items = [event["item_id"] for event in of_type(events, "input_audio_buffer.committed")]
    assert len(set(items)) == 3
    befores = [
        event["previous_item_id"] for event in of_type(events, "input_audio_buffer.committed")
    ]
    assert befores == [None, *items[:-1]]
    for item in items:
        kinds = [event["type"] for event in events if event.get("item_id") == item]
        assert kinds == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            f"{TRANSCRIPTION}.delta",
            f"{TRANSCRIPTION}.completed",
        ]
        own = [event for event in events if event.get("item_id") == item]
        assert own[-2]["delta"] == own[-1]["transcript"]
        assert own[0]["audio_start_ms"] == pytest.approx(1000 * own[-1]["start"], abs=1)
        assert own[1]["audio_end_ms"] == pytest.approx(1000 * own[-1]["end"], abs=1)


def test_the_deltas_of_long_speech_make_its_text(
    server: Server, recognizer: Recognizer, monologue: bytes
) -> None:
    """Speech without a pause is one item of several deltas."""
    expected = recognizer.transcribe(as_file(monologue))
    assert len(expected.segments) > 2
    with session(server) as live:
        live.append(monologue)
        live.commit()
        events = live.until_texts(1)
    completed = events[-1]
    deltas = [event["delta"] for event in of_type(events, f"{TRANSCRIPTION}.delta")]
    assert len(deltas) > 1
    assert "".join(deltas) == completed["transcript"]
    assert completed["transcript"] == expected.text
    assert completed["start"] == pytest.approx(expected.segments[0].start, abs=1e-3)
    assert completed["end"] == pytest.approx(expected.segments[-1].end, abs=1e-3)


def test_without_voice_detection_only_the_client_ends_an_item(
    server: Server, recognizer: Recognizer, pcm: bytes
) -> None:
    half = len(pcm) // 4 * 2
    with session(server) as live:
        assert live.update(turn_detection=None)["type"] == "session.updated"
        for part in (pcm[:half], pcm[half:]):
            live.append(part)
            live.commit()
            committed, *deltas, completed = live.until_texts(1)
            assert committed["type"] == "input_audio_buffer.committed"
            assert {event["type"] for event in deltas} == {f"{TRANSCRIPTION}.delta"}
            assert len(deltas) > 1
            assert "".join(event["delta"] for event in deltas) == completed["transcript"]
            assert completed["transcript"] == recognizer.transcribe(as_file(part)).text
        assert completed["start"] == pytest.approx(half / 2 / RATE, abs=1e-3)
        assert completed["end"] == pytest.approx(len(pcm) / 2 / RATE, abs=1e-3)


@pytest.mark.parametrize(("kind", "subtype"), [("audio/pcmu", "ULAW"), ("audio/pcma", "ALAW")])
def test_telephone_audio_is_heard(
    server: Server, recognizer: Recognizer, pcm: bytes, kind: str, subtype: str
) -> None:
    file = io.BytesIO()
    narrow = soxr.resample(np.frombuffer(pcm, "<i2"), RATE, 8000)
    soundfile.write(file, narrow, 8000, format="RAW", subtype=subtype)
    codes = file.getvalue()
    file.seek(0)
    decoded, _ = soundfile.read(
        file, samplerate=8000, channels=1, format="RAW", subtype=subtype, dtype="int16"
    )
    expected = recognizer.transcribe(sound_file(decoded, rate=8000))
    with session(server) as live:
        answer = live.update(format={"type": kind}, turn_detection=None)
        assert answer["session"]["audio"]["input"]["format"] == {"type": kind}
        live.append(codes, 801)
        live.commit()
        assert texts(live.until_texts(1)) == [expected.text]


def test_settings_are_told_and_changed_one_by_one(server: Server) -> None:
    with session(server, model="second") as live:
        told = live.opened["session"]
        assert (told["type"], told["provisional"]) == ("transcription", False)
        assert told["audio"]["input"] == {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "transcription": {"model": "second", "language": "ko", "prompt": "", "keywords": []},
            "noise_reduction": None,
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.5,
                "prefix_padding_ms": 200,
                "silence_duration_ms": 700,
            },
        }
        changed = live.update(
            transcription={"model": "tiny", "language": "ko", "keywords": ["가나"]},
            turn_detection={"type": "server_vad", "silence_duration_ms": 400},
        )
        assert changed["type"] == "session.updated"
        changed = live.update(noise_reduction=None)["session"]["audio"]["input"]
        assert changed["transcription"]["model"] == "tiny"
        assert changed["transcription"]["keywords"] == ["가나"]
        assert changed["turn_detection"]["silence_duration_ms"] == 400
        assert changed["turn_detection"]["prefix_padding_ms"] == 200


def test_the_pause_that_ends_speech_may_be_chosen(server: Server) -> None:
    speech = speak("가나다라") + bytes(RATE) + speak("라다가나")  # half a second between them
    starts = []
    for milliseconds in (300, 900):
        with session(server) as live:
            live.update(turn_detection={"silence_duration_ms": milliseconds})
            live.append(speech)
            live.commit()
            events = live.until_texts(2 if milliseconds == 300 else 1)
        starts.append(len(of_type(events, "input_audio_buffer.speech_started")))
    assert starts == [2, 1]


@pytest.mark.parametrize(
    ("audio_input", "param"),
    [
        ({"format": {"type": "audio/opus"}}, "format.type"),
        ({"format": {"type": "audio/pcm", "rate": 16_000}}, "format.rate"),
        ({"noise_reduction": {"type": "near_field"}}, "noise_reduction"),
        ({"transcription": None}, "transcription"),
        ({"transcription": {"language": "en"}}, "transcription.language"),
        ({"transcription": {"languages": ["ko", "en"]}}, "transcription.language"),
        ({"transcription": {"keywords": "가나"}}, "transcription.keywords"),
        ({"transcription": {"delay": "low"}}, "transcription.delay"),
        ({"turn_detection": {"type": "semantic_vad"}}, "turn_detection.type"),
        ({"turn_detection": {"threshold": 2}}, "turn_detection.threshold"),
        ({"turn_detection": {"threshold": True}}, "turn_detection.threshold"),
        ({"turn_detection": {"silence_duration_ms": 1e9}}, "turn_detection.silence_duration_ms"),
        ({"turn_detection": {"create_response": True}}, "turn_detection.create_response"),
        ({"turn_detection": {"idle_timeout_ms": 5000}}, "turn_detection.idle_timeout_ms"),
        ({"turn_detection": "server_vad"}, "turn_detection"),
        ({"speed": 2}, "speed"),
    ],
)
def test_what_is_not_supported_is_refused_and_changes_nothing(
    server: Server, audio_input: dict[str, Any], param: str
) -> None:
    with session(server) as live:
        answer = live.update(**audio_input)
        assert answer["type"] == "error"
        assert answer["error"]["type"] == "invalid_request_error"
        assert answer["error"]["param"] == f"session.audio.input.{param}"
        assert live.update()["session"] == live.opened["session"]


def test_names_that_nobody_knows_are_refused(server: Server) -> None:
    with session(server) as live:
        answer = live.update(transcription={"model": "none"})
        assert answer["error"]["code"] == "model_not_found"
        answer = live.update(transcription={"keywords": ["☎"]})
        assert answer["error"]["param"] == "keywords"
        live.connection.session.update(session={"type": "realtime"})
        assert live.receive()["error"]["param"] == "session.type"
        live.connection.response.create()
        assert live.receive()["error"]["code"] == "unsupported_event"


def test_provisional_text_comes_only_to_those_who_ask(server: Server, monologue: bytes) -> None:
    """They get it while somebody speaks, and it is never about speech that is complete."""
    with session(server) as live:
        live.connection.session.update(session={"type": "transcription", "provisional": True})
        assert live.receive()["session"]["provisional"] is True
        half = 3 * RATE * 2  # three seconds
        live.append(monologue[:half])
        events = live.until(lambda event: event["type"] == "input_audio_buffer.speech_started")
        while not of_type(events, "sorigeul.transcription.provisional"):
            live.connection.input_audio_buffer.append(audio="")  # asks for what is ready
            live.connection.send({"type": "none"})
            events += live.until(lambda event: event["type"] == "error")
        live.append(monologue[half:])
        live.commit()
        events += live.until(lambda event: event["type"] == f"{TRANSCRIPTION}.completed")
    shown = of_type(events, "sorigeul.transcription.provisional")
    assert shown
    deltas = ""
    for event in events[:-1]:
        if event["type"] == f"{TRANSCRIPTION}.delta":
            deltas += event["delta"]
        elif event["type"] == "sorigeul.transcription.provisional":
            assert event["item_id"] == events[-1]["item_id"]
            assert event["transcript"].startswith(deltas)  # what is final stays
            assert len(event["transcript"]) > len(deltas)


def test_what_is_cleared_has_no_text(server: Server, recognizer: Recognizer, pcm: bytes) -> None:
    speech = speak("라다나가")
    with session(server) as live:
        live.append(pcm[: 2 * RATE])  # a second of speech that does not end
        live.connection.input_audio_buffer.clear()
        events = live.until(lambda event: event["type"] == "input_audio_buffer.cleared")
        live.commit()
        assert live.receive()["error"]["code"] == "input_audio_buffer_commit_empty"
        live.append(speech)
        live.commit()
        events += live.until_texts(1)
    assert texts(events) == [recognizer.transcribe(as_file(speech)).text]
    assert of_type(events, f"{TRANSCRIPTION}.completed")[0]["start"] >= 1


NESTED = "[" * 100_000


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("[]", "invalid_json"),
        ("3", "invalid_json"),
        (NESTED, "invalid_json"),
        ("{}", "invalid_event"),
        ('{"type": 3}', "invalid_event"),
        ('{"type": "response.create"}', "unsupported_event"),
        ('{"type": "\\ud800"}', "unsupported_event"),
        ('{"type": "session.update"}', "invalid_value"),
        ('{"type": "session.update", "session": []}', "invalid_value"),
        ('{"type": "session.update", "session": {"audio": null}}', "invalid_value"),
        ('{"type": "input_audio_buffer.append"}', "invalid_value"),
        ('{"type": "input_audio_buffer.append", "audio": 5}', "invalid_value"),
        ('{"type": "input_audio_buffer.append", "audio": "가"}', "invalid_value"),
        ('{"type": "input_audio_buffer.append", "audio": "!!!!"}', "invalid_value"),
        ('{"type": "input_audio_buffer.append", "audio": "AAA="}', None),
        ('{"type": "input_audio_buffer.append", "audio": "AA=="}', "invalid_value"),
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty"),
        (b"\x00\x01", "invalid_value"),
    ],
)
def test_a_frame_that_makes_no_sense_is_answered_and_does_no_harm(
    server: Server, frame: str | bytes, code: str | None
) -> None:
    with raw_socket(server) as opened:
        assert received(opened)["type"] == "session.created"
        opened.send(frame)
        if code is not None:
            answer = received(opened)
            assert answer["type"] == "error"
            assert answer["error"]["code"] == code
            assert answer["error"]["message"]
        opened.send('{"type": "session.update", "session": {}, "event_id": "mine"}')
        assert received(opened)["type"] == "session.updated"
        opened.send('{"type": "none", "event_id": "mine"}')
        assert received(opened)["error"]["event_id"] == "mine"


def test_frames_that_are_too_large_are_refused(server: Server) -> None:
    with raw_socket(server) as opened:
        received(opened)
        audio = "A" * (15 * 2**20)
        opened.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        assert received(opened)["error"]["code"] == "too_large"
        opened.send("A" * (17 * 2**20))
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(HANG_SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009  # message too big, RFC 6455
    with session(server) as live:
        assert live.opened


def test_a_client_that_floods_the_server_is_cut_off(server: Server) -> None:
    silence = json.dumps({"type": "input_audio_buffer.append", "audio": "A" * (7 * 2**20)})
    with raw_socket(server) as opened:
        received(opened)
        for _ in range(4):
            opened.send(silence)
        answer = received(opened)
        assert answer["error"]["code"] == "too_far_ahead"
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(HANG_SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_a_closed_socket_stops_its_work(server: Server, pcm: bytes) -> None:
    """Nothing of a minute of speech is left in the queue once its client has gone."""
    with raw_socket(server) as opened:
        received(opened)
        event = {"type": "input_audio_buffer.append", "audio": in_base64(pcm * 6)}
        opened.send(json.dumps(event))
        received(opened)
        assert server.metric("sorigeul_requests_active") >= 1
        opened.socket.shutdown(socket.SHUT_RDWR)  # no goodbye
    assert wait_until(lambda: server.metric("sorigeul_requests_active") == 0)
    assert server.metric("sorigeul_queue_segments") == 0
    assert "Traceback" not in server.process.outputs[1].read_text()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("intent=conversation", "unsupported_value"),
        ("model=none", "model_not_found"),
        ("call_id=5", "unknown_parameter"),
    ],
)
def test_a_session_that_cannot_be_had_is_refused(server: Server, query: str, code: str) -> None:
    with raw_socket(server, query) as opened:
        answer = received(opened)
        assert (answer["type"], answer["error"]["code"]) == ("error", code)
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(HANG_SECONDS)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, code)


def test_a_key_is_needed_where_there_is_one(strict: Server) -> None:
    for key in (None, "another"):
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        with (
            pytest.raises(InvalidStatus) as refused,
            raw_socket(strict, additional_headers=headers),
        ):
            pass
        assert refused.value.response.status_code == 401
        assert json.loads(refused.value.response.body)["error"]["type"] == "authentication_error"
    with strict.client(KEY).realtime.connect(extra_query={"intent": "transcription"}) as live:
        assert live.recv().type == "session.created"


def test_a_browser_gives_its_key_as_a_subprotocol(strict: Server) -> None:
    key = "openai-insecure-api-key.another"
    with pytest.raises(InvalidStatus), raw_socket(strict, subprotocols=["realtime", key]):
        pass
    with raw_socket(strict, subprotocols=["realtime"], additional_headers=authorized()) as opened:
        assert opened.subprotocol == "realtime"
        assert received(opened)["type"] == "session.created"


def test_a_page_of_somebody_else_is_refused(strict: Server) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        raw_socket(strict, additional_headers=authorized(), origin="https://elsewhere.example"),
    ):
        pass
    assert refused.value.response.status_code == 403


def authorized() -> dict[str, str]:
    return {"Authorization": f"Bearer {KEY}"}


def test_a_session_has_a_limit_of_seconds(strict: Server) -> None:
    silence = in_base64(bytes(25 * 2 * RATE))
    with raw_socket(strict, additional_headers=authorized()) as opened:
        received(opened)
        opened.send(json.dumps({"type": "input_audio_buffer.append", "audio": silence}))
        answer = received(opened)
        assert answer["error"]["code"] == "session_too_long"
        assert "20 s" in answer["error"]["message"]


def test_sessions_beyond_the_places_are_told_to_come_again(strict: Server) -> None:
    options = {"additional_headers": authorized()}
    with raw_socket(strict, **options) as first, raw_socket(strict, **options) as second:
        assert {received(first)["type"], received(second)["type"]} == {"session.created"}
        with raw_socket(strict, **options) as third:
            answer = received(third)
            assert answer["error"]["code"] == "queue_full"
            assert "try again in" in answer["error"]["message"]
            with pytest.raises(ConnectionClosed) as closed:
                third.recv(HANG_SECONDS)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013  # try again later
    assert wait_until(lambda: can_open(strict))


def can_open(server: Server) -> bool:
    with raw_socket(server, additional_headers=authorized()) as opened:
        return bool(received(opened)["type"] == "session.created")


def test_a_server_that_stops_finishes_what_was_said(
    run: Path, recognizer: Recognizer, tmp_path: Path
) -> None:
    speech = speak("가나다라나가")
    with serving(tmp_path, run) as server, session(server) as live:
        live.append(speech)
        live.connection.send({"type": "none"})
        live.until(lambda event: event["type"] == "error")  # it has heard all of that
        server.process.kill(signal.SIGTERM)
        events = live.until(lambda event: event["type"] == "error")
        assert texts(events) == [recognizer.transcribe(as_file(speech)).text]
        assert events[-1]["error"]["code"] == "shutting_down"
        with pytest.raises(ConnectionClosed) as closed:
            live.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001  # going away
        assert server.process.done().status == 0


def test_ids_chain_over_several_commits(server: Server, pcm: bytes) -> None:
    with session(server) as live:
        live.append(pcm)
        live.commit()
        live.append(pcm)
        live.commit()
        events = live.until_texts(6)
    committed = of_type(events, "input_audio_buffer.committed")
    for before, after in pairwise(committed):
        assert after["previous_item_id"] == before["item_id"]
    started = of_type(events, "input_audio_buffer.speech_started")
    starts = [event["audio_start_ms"] for event in started]
    assert starts == sorted(starts)
    assert starts[3] >= 1000 * len(pcm) / 2 / RATE
