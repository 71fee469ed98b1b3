"""A server that speaks OpenAI's transcription API as an engine: their own, or one like it."""

import io
import json
import time
import urllib.error
import urllib.request
import uuid
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from sorigeul.base.errors import UserError
from sorigeul.evaluation.engines.engine import Recognized, Utterance, pcm16
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples

KEY_VARIABLE = "OPENAI_API_KEY"
"""environment variable with the key, if the server wants one"""
_PATH = "/audio/transcriptions"
_ABOUT_RECORDING = (400, 413, 415, 422)  # the next recording may fare better
_PASSING = (408, 409, 429, 500, 502, 503, 504)  # the next attempt may
_LONGEST_ANSWER = 16 * 2**20  # bytes
_LONGEST_REASON = 200  # characters
_GIVE_UP_AFTER = 5  # utterances in a row without an answer


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for."""

    timeout: float = 300.0
    """seconds without a byte of the answer"""
    attempts: int = 5
    """for each utterance"""
    first_wait: float = 1.0
    """seconds before the second attempt; twice as long before each next one"""
    longest_wait: float = 60.0
    """seconds before any attempt, also if the server asks for more"""


class _Failure(Exception):
    """Why an utterance has no text."""

    def __init__(self, reason: str, about_recording: bool = False) -> None:
        super().__init__(reason)
        self.about_recording = about_recording


class OpenAIServer:
    """A model behind a server, which gets each utterance as a WAV file of 16 bits."""

    def __init__(
        self, url: str, model: str, key: str = "", patience: Patience | None = None
    ) -> None:
        """`url` is the base of the API, such as https://api.openai.com/v1.

        An address without a path gets /v1. Raises UserError if it is no address of the web.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise UserError(f"{url} is no address: give one such as http://localhost:8000/v1")
        if parts.username is not None:
            raise UserError(f"leave user and password out of the address of {parts.hostname}")
        base = url.rstrip("/") if parts.path.strip("/") else f"{url.rstrip('/')}/v1"
        self.url = base if base.endswith(_PATH) else base + _PATH
        self._model, self._key, self._patience = model, key, patience or Patience()
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._unanswered = 0

    @property
    def fingerprint(self) -> str:
        """Address and model; what is behind them cannot be known."""
        return f"{self.url}#{self._model}"

    def transcribe(self, utterances: Sequence[Utterance]) -> Iterator[Recognized]:
        """Send one after another. The time is that of the attempt which was answered.

        Raises UserError if several utterances in a row got no answer.
        """
        for utterance in utterances:
            try:
                text, seconds = self._ask(utterance.load())
            except AudioError as error:
                yield Recognized(utterance.id, "", error=str(error))
            except _Failure as failure:
                yield Recognized(utterance.id, "", error=f"{self.url} {failure}")
                self._unanswered = 0 if failure.about_recording else self._unanswered + 1
                if self._unanswered >= _GIVE_UP_AFTER:
                    raise UserError(f"{self.url} ({self._model}) {failure}") from failure
            else:
                self._unanswered = 0
                yield Recognized(utterance.id, text, seconds)

    def _ask(self, samples: Samples) -> tuple[str, float]:
        """The text of a recording, and how many seconds it took. Raises _Failure."""
        request = self._request(samples)
        wait = self._patience.first_wait
        for attempts_left in reversed(range(self._patience.attempts)):
            started, asked_wait = time.perf_counter(), None
            try:
                with self._opener.open(request, timeout=self._patience.timeout) as response:
                    answer = response.read(_LONGEST_ANSWER)
                return _text(answer), time.perf_counter() - started
            except urllib.error.HTTPError as error:
                reason = f"answers {error.code} {self._reason(error)}"
                if error.code not in _PASSING:
                    raise _Failure(reason, error.code in _ABOUT_RECORDING) from error
                asked_wait = _retry_after(error.headers)
            except (OSError, HTTPException) as error:
                reason = f"does not answer ({getattr(error, 'reason', '') or error})"
            if attempts_left:
                longest = self._patience.longest_wait
                time.sleep(min(wait if asked_wait is None else asked_wait, longest))
                wait *= 2
        raise _Failure(f"{reason}, {self._patience.attempts} times")

    def _request(self, samples: Samples) -> urllib.request.Request:
        fields = {"model": self._model, "language": "ko", "response_format": "json"}
        content_type, body = _multipart(fields, _wav(samples))
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        return urllib.request.Request(self.url, body, headers, method="POST")

    def _reason(self, error: urllib.error.HTTPError) -> str:
        """What the server says about its error, in a line, without the key."""
        try:
            answer = error.read(_LONGEST_ANSWER).decode("utf-8", "replace")
        except (OSError, HTTPException):
            answer = ""
        try:
            message = str(json.loads(answer)["error"]["message"])
        except (ValueError, RecursionError, KeyError, TypeError):
            message = answer
        line = " ".join(f"{error.reason}: {message}".split())
        if self._key:
            line = line.replace(self._key, "…")
        return line[:_LONGEST_REASON].rstrip(": ")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected upload would become an empty request, and carry the key to another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _text(answer: bytes) -> str:
    try:
        text = json.loads(answer)["text"]
    except (ValueError, RecursionError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        shown = " ".join(answer[:_LONGEST_REASON].decode("utf-8", "replace").split())
        raise _Failure(f'answers without a "text": {shown}')
    return text


def _retry_after(headers: Message) -> float | None:
    """Seconds that the server asks to wait, as a number or a date (RFC 9110, 10.2.3)."""
    value = str(headers.get("Retry-After", "")).strip()
    if value.isdecimal():
        return float(value)
    try:
        then = parsedate_to_datetime(value)
    except ValueError:
        return None
    if then.tzinfo is None:  # the zone -0000: universal time
        then = then.replace(tzinfo=timezone.utc)
    return max(0.0, then.timestamp() - time.time())


def _wav(samples: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(pcm16(samples))
    return file.getvalue()


def _multipart(fields: Mapping[str, str], wav: bytes) -> tuple[str, bytes]:
    """Content type and body of a form with some fields and a file (RFC 7578)."""
    boundary = uuid.uuid4().hex
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    lines.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="utterance.wav"'
        "\r\nContent-Type: audio/wav\r\n\r\n"
    )
    body = "".join(lines).encode() + wav + f"\r\n--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body
