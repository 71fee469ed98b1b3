"""An OpenAI-compatible server as an engine, against a small real one that is made to fail."""

import json
import socket
import time
from collections.abc import Sequence
from email.utils import formatdate

import numpy as np
import pytest
from helpers.transcription_server import Answer, Upload, serving

from sorigeul.base.errors import UserError
from sorigeul.evaluation.engines.engine import Utterance
from sorigeul.evaluation.engines.openai_server import OpenAIServer, Patience

AT_ONCE = Patience(attempts=3, first_wait=0.0)
BUSY = Answer(503, "busy", {"Retry-After": "0"})
GOOD = Answer.text("가나")


def test_an_utterance_is_uploaded_as_a_wav_of_the_same_samples(
    utterances: Sequence[Utterance],
) -> None:
    with serving(lambda upload, number: Answer.text(f"글 {number}")) as server:
        engine = OpenAIServer(server.url, "whisper-1", "secret")
        results = list(engine.transcribe(utterances[:3]))
    assert [one.id for one in results] == [utterance.id for utterance in utterances[:3]]
    assert [(one.text, one.error) for one in results] == [(f"글 {n}", "") for n in range(3)]
    for upload, utterance, one in zip(server.uploads, utterances, results, strict=False):
        assert upload.path == "/v1/audio/transcriptions"
        assert upload.headers["Authorization"] == "Bearer secret"
        assert upload.fields == {"model": "whisper-1", "language": "ko", "response_format": "json"}
        assert upload.rate == 16_000
        assert np.abs(upload.samples / 2**15 - utterance.load()).max() <= 2**-16
        assert one.seconds is not None
        assert 0 < one.seconds < 60


def test_without_a_key_none_is_sent(utterances: Sequence[Utterance]) -> None:
    with serving() as server:
        list(OpenAIServer(server.url, "m").transcribe(utterances[:1]))
    assert "Authorization" not in server.uploads[0].headers


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1/audio/transcriptions"),
        ("http://localhost:8000/", "http://localhost:8000/v1/audio/transcriptions"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1/audio/transcriptions"),
        ("http://h/asr/v1/", "http://h/asr/v1/audio/transcriptions"),
        ("http://h/v1/audio/transcriptions", "http://h/v1/audio/transcriptions"),
    ],
)
def test_the_address_may_be_that_of_the_server_or_of_its_api(url: str, expected: str) -> None:
    engine = OpenAIServer(url, "m")
    assert engine.url == expected
    assert engine.fingerprint == f"{expected}#m"


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://host", "http://", "", "http://user:word@host", "http://h/v1?a"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="address"):
        OpenAIServer(url, "m")


# Failures that pass


def test_a_busy_server_is_asked_again_and_the_waiting_is_not_counted(
    utterances: Sequence[Utterance],
) -> None:
    def answer(upload: Upload, number: int) -> Answer:
        if number < 2:
            time.sleep(0.3)
            return BUSY
        return GOOD

    with serving(answer) as server:
        (one,) = OpenAIServer(server.url, "m").transcribe(utterances[:1])
    assert (one.text, one.error, len(server.uploads)) == ("가나", "", 3)
    assert one.seconds is not None
    assert one.seconds < 0.6


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_failures_are_tried_again(status: int, utterances: Sequence[Utterance]) -> None:
    with serving(lambda _, number: GOOD if number else Answer(status, "")) as server:
        (one,) = OpenAIServer(server.url, "m", patience=AT_ONCE).transcribe(utterances[:1])
    assert (one.text, len(server.uploads)) == ("가나", 2)


@pytest.mark.parametrize("wait", ["0", formatdate(0, usegmt=True)])
def test_the_server_says_how_long_to_wait(wait: str, utterances: Sequence[Utterance]) -> None:
    """Otherwise the test would hang."""
    busy = Answer(429, "", {"Retry-After": wait})
    patience = Patience(first_wait=1000.0, longest_wait=1000.0)
    with serving(lambda _, number: GOOD if number else busy) as server:
        (one,) = OpenAIServer(server.url, "m", patience=patience).transcribe(utterances[:1])
    assert one.text == "가나"


@pytest.mark.parametrize("wait", ["100000", formatdate(4e9, usegmt=True), "soon"])
def test_no_wait_is_longer_than_allowed(wait: str, utterances: Sequence[Utterance]) -> None:
    busy = Answer(503, "", {"Retry-After": wait})
    patience = Patience(first_wait=1000.0, longest_wait=0.01)
    with serving(lambda _, number: GOOD if number else busy) as server:
        (one,) = OpenAIServer(server.url, "m", patience=patience).transcribe(utterances[:1])
    assert one.text == "가나"


# Failures that stay


def test_a_recording_that_is_refused_spares_the_others(utterances: Sequence[Utterance]) -> None:
    too_short = Answer(400, json.dumps({"error": {"message": "Audio file\nis too short."}}))
    with serving(lambda _, number: GOOD if number == 9 else too_short) as server:
        results = list(OpenAIServer(server.url, "m").transcribe(utterances[:10]))
    assert len(server.uploads) == 10
    assert [one.text for one in results] == [""] * 9 + ["가나"]
    address = f"{server.url}/v1/audio/transcriptions"
    expected = f"{address} answers 400 Bad Request: Audio file is too short."
    assert {one.error for one in results[:9]} == {expected}


def test_a_server_that_never_answers_is_given_up(utterances: Sequence[Utterance]) -> None:
    with serving(lambda *_: BUSY) as server:
        results = OpenAIServer(server.url, "m", patience=AT_ONCE).transcribe(utterances)
        errors = [next(results).error for _ in range(5)]
        with pytest.raises(UserError, match=r"/v1/audio/transcriptions \(m\) answers 503") as given:
            next(results)
    assert len(server.uploads) == 15
    assert "\n" not in str(given.value)
    assert all("answers 503 Service Unavailable: busy, 3 times" in error for error in errors)


def test_utterances_in_between_that_are_answered_count(utterances: Sequence[Utterance]) -> None:
    with serving(lambda _, number: GOOD if number % 5 == 4 else Answer(404, "")) as server:
        results = list(OpenAIServer(server.url, "m").transcribe(utterances))
    assert [bool(one.text) for one in results] == ([False] * 4 + [True]) * 8


def test_a_wrong_key_is_not_tried_again_and_not_shown(utterances: Sequence[Utterance]) -> None:
    def answer(upload: Upload, _: int) -> Answer:
        return Answer(401, f"no such key: {upload.headers['Authorization']}")

    with serving(answer) as server:
        engine = OpenAIServer(server.url, "m", "s3cret")
        with pytest.raises(UserError, match="answers 401") as given:
            list(engine.transcribe(utterances))
    assert len(server.uploads) == 5
    assert "s3cret" not in str(given.value)
    assert "s3cret" not in engine.fingerprint


def test_a_key_does_not_follow_a_redirection(utterances: Sequence[Utterance]) -> None:
    with serving() as other:
        elsewhere = Answer(302, "", {"Location": f"{other.url}/v1/audio/transcriptions"})
        with serving(lambda *_: elsewhere) as server:
            (one,) = OpenAIServer(server.url, "m", "s3cret").transcribe(utterances[:1])
    assert "answers 302" in one.error
    assert not other.uploads


def test_nobody_there(utterances: Sequence[Utterance]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # and free again after the block
    engine = OpenAIServer(f"http://127.0.0.1:{port}", "m", patience=AT_ONCE)
    (one,) = engine.transcribe(utterances[:1])
    assert "does not answer" in one.error
    assert "refused" in one.error


def test_a_server_that_hangs(utterances: Sequence[Utterance]) -> None:
    """It takes the connection, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        patience = Patience(timeout=0.1, attempts=2, first_wait=0.0)
        (one,) = OpenAIServer(url, "m", patience=patience).transcribe(utterances[:1])
    assert "does not answer (timed out), 2 times" in one.error


@pytest.mark.parametrize(
    "body", ["<html>\nhello</html>", "[]", '{"text": 3}', '{"texts": "가"}', ""]
)
def test_an_answer_without_a_text(body: str, utterances: Sequence[Utterance]) -> None:
    with serving(lambda *_: Answer(200, body)) as server:
        (one,) = OpenAIServer(server.url, "m").transcribe(utterances[:1])
    shown = " ".join(body.split())
    assert one.error.endswith(f'answers without a "text": {shown}')
    assert len(server.uploads) == 1


def test_a_recording_that_cannot_be_read_is_not_sent(with_unreadable: Sequence[Utterance]) -> None:
    with serving() as server:
        results = list(OpenAIServer(server.url, "m").transcribe(with_unreadable))
    assert len(server.uploads) == 3
    assert [bool(one.error) for one in results] == [False, True, False, False]
    assert "u01.wav" in results[1].error
