"""Tests of keys, limits and hostile clients, with a real server that has narrow limits."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import numpy as np
import openai
import pytest
from helpers.processes import wait_until
from helpers.recordings import recordings, sound_file
from helpers.servers import Server, serving

from sorigeul.sound.audio import Samples

KEY, OTHER_KEY = "sk-first", "sk-둘째"
UPLOAD = 400_000  # bytes
SECONDS = 12
ORIGIN = "https://app.example.com"


@pytest.fixture(scope="module")
def guarded(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with keys and narrow limits."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = folder / "keys"
    keys.write_text(f"# the keys\n{KEY}\n\n{OTHER_KEY}\n", encoding="utf-8")
    limits = {
        "--api_key": str(keys),
        "--max_upload": f"{UPLOAD}B",
        "--max_seconds": str(SECONDS),
        "--upload_seconds": "3",
        "--cors_origin": ORIGIN,
    }
    arguments = [part for pair in limits.items() for part in pair]
    with serving(folder, run, *arguments) as running:
        yield running


def is_alive(server: Server, wav: bytes) -> bool:
    """Whether the next request is served."""
    reply = server.client(KEY).audio.transcriptions.create(file=wav, model="tiny")
    return bool(reply.text)


def exchange(server: Server, *pieces: bytes) -> bytes:
    """What the server answers to bytes, until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=100) as connection:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65_536):
                answer += data
    return answer


def head(*lines: str, method: str = "POST /v1/audio/transcriptions") -> bytes:
    fixed = [f"{method} HTTP/1.1", "Host: x", f"Authorization: Bearer {KEY}"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


def error_of(answer: bytes) -> dict[str, str]:
    header, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/json" in header
    return json.loads(body)["error"]


def test_a_key_is_needed(guarded: Server, wav: bytes) -> None:
    assert is_alive(guarded, wav)
    with pytest.raises(openai.AuthenticationError) as wrong:
        guarded.client("sk-wrong").audio.transcriptions.create(file=wav, model="tiny")
    assert wrong.value.code == "invalid_api_key"
    for path in ("/v1/models", "/v1/audio/transcriptions", "/metrics", "/docs", "/openapi.json"):
        reply = guarded.get(path)
        assert reply.status_code == 401
        assert reply.json()["error"]["code"] == "missing_api_key"
        assert reply.headers["www-authenticate"] == "Bearer"
    assert guarded.get("/v1/models", headers={"authorization": "Basic x"}).status_code == 401
    as_utf8 = {b"authorization": f"Bearer {OTHER_KEY}".encode()}
    assert guarded.get("/v1/models", headers=as_utf8).status_code == 200


def test_health_needs_no_key(guarded: Server) -> None:
    assert guarded.get("/healthz").json() == {"status": "ok"}
    assert guarded.get("/readyz").json() == {"status": "ready"}


def test_an_upload_that_is_too_large_is_refused_by_what_it_declares(
    guarded: Server, wav: bytes
) -> None:
    recording = bytes(UPLOAD + 1)
    with pytest.raises(openai.APIStatusError) as refused:
        guarded.client(KEY).audio.transcriptions.create(file=recording, model="tiny")
    assert refused.value.status_code == 413
    assert refused.value.code == "upload_too_large"
    answer = exchange(guarded, head("Content-Length: 2147483648", "Connection: close"))
    assert b" 413 " in answer.splitlines()[0]
    assert is_alive(guarded, wav)


def test_an_upload_that_is_too_large_is_refused_by_what_arrives(
    guarded: Server, wav: bytes
) -> None:
    def pieces() -> Iterator[bytes]:
        yield (
            b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\ntiny\r\n'
            b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
        )
        for _ in range(60):
            yield bytes(10_000)
        yield b"\r\n--x--\r\n"

    headers = {"authorization": f"Bearer {KEY}", "content-type": "multipart/form-data; boundary=x"}
    reply = guarded.post(content=pieces(), headers=headers)
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "upload_too_large"
    assert is_alive(guarded, wav)


def test_a_chunked_upload_within_the_limit_is_served(guarded: Server, wav: bytes) -> None:
    form = httpx.Request("POST", "http://x", data={"model": "tiny"}, files={"file": wav})
    body = form.read()
    headers = {"authorization": f"Bearer {KEY}", "content-type": form.headers["content-type"]}
    pieces = (body[start : start + 5000] for start in range(0, len(body), 5000))
    assert guarded.post(content=pieces, headers=headers).json()["text"]


@pytest.mark.parametrize("kind", ["m4a", "webm"])
def test_a_recording_that_is_too_long_is_refused_while_it_is_decoded(
    guarded: Server, sentence: Samples, kind: str
) -> None:
    recording = recordings(np.tile(sentence, 2))[kind]
    assert len(recording) < UPLOAD
    with pytest.raises(openai.BadRequestError) as refused:
        guarded.client(KEY).audio.transcriptions.create(file=recording, model="tiny")
    assert refused.value.code == "audio_too_long"
    assert str(SECONDS) in refused.value.message


def test_silence_that_unfolds_to_hours_is_not_decoded_to_its_end(
    guarded: Server, wav: bytes
) -> None:
    """A decompression bomb: FLAC stores a constant sample in a few bytes a second."""
    bomb = sound_file(np.full(16_000 * 60 * 20, 0.25, np.float32), "FLAC")
    assert len(bomb) < UPLOAD
    with pytest.raises(openai.BadRequestError) as refused:
        guarded.client(KEY).audio.transcriptions.create(file=bomb, model="tiny")
    assert refused.value.code == "audio_too_long"
    assert is_alive(guarded, wav)


def test_a_body_that_does_not_come_is_not_waited_for(guarded: Server, wav: bytes) -> None:
    form = "Content-Type: multipart/form-data; boundary=x"
    answer = exchange(guarded, head(form, "Content-Length: 1000", "Connection: close"), b"--x\r\n")
    assert b" 408 " in answer.splitlines()[0]
    assert error_of(answer)["code"] == "upload_timeout"
    assert is_alive(guarded, wav)


def test_a_client_that_breaks_off_its_upload_leaves_nothing_behind(
    guarded: Server, wav: bytes
) -> None:
    form = "Content-Type: multipart/form-data; boundary=x"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", guarded.port)) as connection:
            connection.sendall(head(form, "Content-Length: 200000") + bytes(50_000))
    assert is_alive(guarded, wav)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
        head("X-Long: " + "x" * 200_000, method="GET /healthz"),
        head(*(f"X-{number}: x" for number in range(20_000)), method="GET /healthz"),
        head("Content-Length: -5"),
        head("Content-Length: 5", "Content-Length: 6"),
        head("Transfer-Encoding: chunked") + b"ZZ\r\n",
    ],
)
def test_what_is_no_http_gets_an_error_in_the_usual_shape(
    guarded: Server, wav: bytes, request_bytes: bytes
) -> None:
    answer = exchange(guarded, request_bytes)
    assert b" 400 " in answer.splitlines()[0]
    assert error_of(answer)["message"]
    assert is_alive(guarded, wav)


def test_unknown_places_and_methods_get_errors_in_the_usual_shape(guarded: Server) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    for reply, status, code in (
        (guarded.get("/v1/nothing", headers=headers), 404, "not_found"),
        (guarded.get("/../../etc/passwd"), 404, "not_found"),
        (guarded.get("/v1/audio/transcriptions", headers=headers), 405, "method_not_allowed"),
    ):
        assert reply.status_code == status
        assert reply.json()["error"]["code"] == code
        assert reply.headers["x-request-id"].startswith("req_")


def test_damaged_recordings_do_no_harm(guarded: Server, sentence: Samples, wav: bytes) -> None:
    _send_mutated(guarded, recordings(sentence[:40_000]), 100)
    assert is_alive(guarded, wav)


@pytest.mark.prove
@pytest.mark.timeout(3600)
def test_a_thousand_damaged_recordings_do_no_harm(
    guarded: Server, sentence: Samples, wav: bytes
) -> None:
    _send_mutated(guarded, recordings(sentence[:40_000]), 1000)
    assert is_alive(guarded, wav)


def _send_mutated(server: Server, kinds: dict[str, bytes], count: int) -> None:
    """Send recordings with bytes changed, removed and repeated."""
    random = np.random.default_rng(5)
    originals = list(kinds.values())
    with httpx.Client(timeout=200, headers={"authorization": f"Bearer {KEY}"}) as client:
        for number in range(count):
            data = bytearray(originals[number % len(originals)])
            for place in random.integers(0, min(len(data), 4000), random.integers(1, 40)):
                data[place] = random.integers(0, 256)
            start, end = sorted(random.integers(0, len(data), 2))
            if number % 3 == 1:
                del data[start:end]
            elif number % 3 == 2:
                data[start:start] = data[start : start + 1000]
            reply = client.post(
                f"{server.url}/v1/audio/transcriptions",
                data={"model": "tiny"},
                files={"file": bytes(data)},
            )
            assert reply.status_code in (200, 400), reply.text
            if reply.status_code == 400:
                assert reply.json()["error"]["code"] in ("invalid_audio", "audio_too_long")


def test_uploads_never_reach_the_disk(
    run: Path, tmp_path: Path, wav: bytes, long_wav: bytes
) -> None:
    """Not even temporary files without a name: the process may not write files at all."""
    with serving(tmp_path, run, file_bytes=1_000_000) as server:
        assert len(long_wav) > 2_000_000
        reply = server.client().audio.transcriptions.create(file=long_wav, model="tiny")
        assert reply.text


def test_pages_from_elsewhere_may_use_it_only_if_they_are_listed(
    guarded: Server, server: Server
) -> None:
    asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
    path = "/v1/audio/transcriptions"
    allowed = httpx.options(guarded.url + path, headers=asks)
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    stranger = httpx.options(guarded.url + path, headers=asks | {"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-origin" not in server.get("/healthz", headers=asks).headers


def test_every_reply_has_security_headers(guarded: Server) -> None:
    for reply in (guarded.get("/healthz"), guarded.get("/nothing"), guarded.get("/v1/models")):
        policy = reply.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src" not in policy
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert "server" not in reply.headers


def test_the_places_of_refused_requests_are_free_again(guarded: Server) -> None:
    headers = {"authorization": f"Bearer {KEY}"}

    def active() -> bool:
        text = guarded.get("/metrics", headers=headers).text
        return "sorigeul_requests_active 0.0" in text

    assert wait_until(active)
