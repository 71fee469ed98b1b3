"""A live session in OpenAI's Realtime transcription protocol: client events to server events.

Knows nothing of sockets. What it adds to the protocol is under names that OpenAI does not use: the
event `sorigeul.transcription.provisional`, for sessions with the setting `provisional`, and in
`…completed` the fields `start`, `end`, `confidence`, `doubtful` and `words`, and `spoken` where the
text is in written form; times are in seconds of the session.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import numpy as np

from sorigeul.recognition.live import (
    FinalSegment,
    LiveEvent,
    ProvisionalText,
    SpeechStarted,
    SpeechStopped,
)
from sorigeul.recognition.transcription import Segment, Transcription
from sorigeul.recognition.writers import spoken_fields, word_fields
from sorigeul.serving.api_errors import ApiError, bad_request, quoted
from sorigeul.serving.batch_queue import CancelledError
from sorigeul.serving.json_log import log_error
from sorigeul.serving.live_stream import LiveStream
from sorigeul.serving.models import ServedModel
from sorigeul.serving.realtime_audio import RealtimeAudio
from sorigeul.serving.realtime_settings import SessionSettings
from sorigeul.serving.service import Service
from sorigeul.sound.audio import SAMPLE_RATE, Samples

MAX_FRAME = 15 * 2**20
"""most characters of a client event"""
_LONGEST_ID = 512  # characters of a client's `event_id`, as with OpenAI
_AT_LEAST = SAMPLE_RATE // 10  # samples that are collected before they are looked at

ServerEvent = dict[str, Any]
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


@dataclass
class _Item:
    """A piece of speech that becomes one text: a turn, or what the client commits at once."""

    start: float
    """seconds of the session"""
    end: float = 0.0
    id: str = field(default_factory=lambda: f"item_{token_hex(10)}")
    segments: list[Segment] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its text so far."""
        return Transcription.from_segments(self.segments, 0.0, ()).text


class _Input:
    """The audio since the last commit, clearing or change of settings."""

    def __init__(self, settings: SessionSettings, offset: float) -> None:
        self.offset = offset
        """seconds of the session before it"""
        self.item: _Item | None = None
        """the last one that has begun in it"""
        self._audio = RealtimeAudio(settings.format)
        self._collected: Samples = np.empty(0, np.float32)
        self._stream = LiveStream(
            settings.model, settings.limits, settings.terms, settings.provisional
        )

    @property
    def seconds(self) -> float:
        """Length of the session up to its end so far."""
        return self.offset + self._audio.seconds

    @property
    def is_empty(self) -> bool:
        return self._audio.seconds == 0

    def append(self, audio: str) -> Iterator[LiveEvent]:
        """The next piece, in base64; an empty one asks for what is ready by now.

        Raises ApiError if it is damaged.
        """
        self._collected = np.concatenate((self._collected, self._audio.decode(audio)))
        if len(self._collected) >= _AT_LEAST or not audio:
            yield from self._hear()

    def finish(self) -> Iterator[LiveEvent]:
        """What its end settles."""
        self._collected = np.concatenate((self._collected, self._audio.finish()))
        yield from self._hear()
        yield from self._stream.finish()

    def close(self) -> None:
        """End its work; any thread may call it."""
        self._stream.close()

    def _hear(self) -> Iterator[LiveEvent]:
        samples, self._collected = self._collected, self._collected[:0]
        yield from self._stream.feed(samples)


class RealtimeSession:
    """One session. Its methods but `close` are for one thread, which waits for the queue."""

    def __init__(self, service: Service, model: ServedModel) -> None:
        self._service = service
        self._settings = SessionSettings.of_model(model)
        self.id = f"sess_{token_hex(10)}"
        self.closed = False
        self._last_item: str | None = None  # the last that was committed
        self._input = _Input(self._settings, 0.0)

    @property
    def seconds(self) -> float:
        """Length of the audio so far."""
        return self._input.seconds

    @property
    def too_long(self) -> bool:
        """Whether there was more audio than a session may have."""
        return self.seconds > self._service.options.max_seconds

    def opening(self) -> ServerEvent:
        """The first event."""
        return self._session_event("session.created")

    def handle(self, frame: str) -> Iterator[ServerEvent]:
        """A client event as it came -> what is answered. What is wrong with it is an error event.

        Raises `CancelledError` once the session is closed.
        """
        event_id = None
        try:
            event = _parsed(frame)
            if isinstance(given := event.get("event_id"), str):
                event_id = given[:_LONGEST_ID]
            yield from self._handler(event)(event)
        except ApiError as error:
            details = {**error.body()["error"], "event_id": event_id}
            yield _server_event("error", error=details)

    def drain(self) -> Iterator[ServerEvent]:
        """Finish the speech that is running; audio that the client has to commit is left."""
        if self._settings.detection is not None:
            yield from self._guarded(self._finish_input())

    def close(self) -> None:
        """End all work. It may be called twice, and by any thread."""
        self.closed = True
        self._input.close()

    def _handler(self, event: dict[str, Any]) -> Callable[[dict[str, Any]], Iterator[ServerEvent]]:
        handlers = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
        }
        kind = event.get("type")
        if not isinstance(kind, str):
            raise bad_request("an event must have a type", "type", "invalid_event")
        if kind not in handlers:
            raise bad_request(
                f"events of type {quoted(kind)} are not supported; there are: "
                f"{', '.join(handlers)}",
                "type",
                "unsupported_event",
            )
        return handlers[kind]

    def _update(self, event: dict[str, Any]) -> Iterator[ServerEvent]:
        settings = self._settings.updated(event.get("session"), self._service)
        if settings != self._settings:
            if self._settings.detection is None and not self._input.is_empty:
                raise bad_request(
                    "commit or clear the audio first: settings change between two commits",
                    "session",
                    "buffer_not_empty",
                )
            yield from self._guarded(self._finish_input())
            self._settings = settings
            self._begin_input()
        yield self._session_event("session.updated")

    def _append(self, event: dict[str, Any]) -> Iterator[ServerEvent]:
        audio = event.get("audio")
        if not isinstance(audio, str):
            raise bad_request("audio must be text in base64", "audio")
        yield from self._guarded(self._told(self._input.append(audio)))

    def _commit(self, _: dict[str, Any]) -> Iterator[ServerEvent]:
        if self._input.is_empty:
            raise bad_request(
                "there is no audio to commit: append some first",
                None,
                "input_audio_buffer_commit_empty",
            )
        yield from self._guarded(self._committed())
        self._begin_input()

    def _committed(self) -> Iterator[ServerEvent]:
        """End the input here. Whatever was in it, at least one item is committed."""
        before, start = self._last_item, self._input.offset
        if self._settings.detection is None:
            item = self._input.item = self._input.item or _Item(start)
            yield self._commit_item(item)
            for number in range(len(item.segments)):
                yield from self._delta(item, number)
            yield from self._finish_input()
            item.end = self.seconds
            yield self._completed(item)
            return
        yield from self._finish_input()
        if self._last_item == before:  # nobody spoke
            item = _Item(start, self.seconds)
            yield self._commit_item(item)
            yield self._completed(item)

    def _clear(self, _: dict[str, Any]) -> Iterator[ServerEvent]:
        self._begin_input()
        yield _server_event("input_audio_buffer.cleared")

    def _begin_input(self) -> None:
        """Begin to listen anew; what was not committed is forgotten."""
        self._input.close()
        self._input = _Input(self._settings, self.seconds)
        if self.closed:
            self._input.close()

    def _finish_input(self) -> Iterator[ServerEvent]:
        yield from self._told(self._input.finish())

    def _told(self, events: Iterable[LiveEvent]) -> Iterator[ServerEvent]:
        """Events of the stream in the words of the protocol."""
        tell = self._told_turn if self._settings.detection else self._told_uncommitted
        for event in events:
            yield from tell(event)

    def _told_turn(self, event: LiveEvent) -> Iterator[ServerEvent]:
        """With voice detection: an item is what is spoken between two pauses."""
        if isinstance(event, SpeechStarted):
            self._input.item = _Item(self._input.offset + event.seconds)
        item = self._input.item
        assert item is not None
        match event:
            case SpeechStarted():
                yield _server_event(
                    "input_audio_buffer.speech_started",
                    audio_start_ms=round(1000 * item.start),
                    item_id=item.id,
                )
            case SpeechStopped(seconds):
                item.end = self._input.offset + seconds
                yield _server_event(
                    "input_audio_buffer.speech_stopped",
                    audio_end_ms=round(1000 * item.end),
                    item_id=item.id,
                )
                yield self._commit_item(item)
            case ProvisionalText(text):
                yield self._provisional(item, text)
            case FinalSegment(segment, ends_speech):
                item.segments.append(segment)
                yield from self._delta(item, len(item.segments) - 1)
                if ends_speech:
                    yield self._completed(item)

    def _told_uncommitted(self, event: LiveEvent) -> Iterator[ServerEvent]:
        """Without: an item is what the client commits; only then is its text sent."""
        item = self._input.item = self._input.item or _Item(self._input.offset)
        match event:
            case ProvisionalText(text):
                yield self._provisional(item, text)
            case FinalSegment(segment):
                item.segments.append(segment)
                if item.id == self._last_item:
                    yield from self._delta(item, len(item.segments) - 1)

    def _commit_item(self, item: _Item) -> ServerEvent:
        previous, self._last_item = self._last_item, item.id
        return _server_event(
            "input_audio_buffer.committed", item_id=item.id, previous_item_id=previous
        )

    def _provisional(self, item: _Item, text: str) -> ServerEvent:
        return _server_event(
            "sorigeul.transcription.provisional",
            item_id=item.id,
            transcript=f"{item.text} {text}".strip(),
        )

    def _delta(self, item: _Item, number: int) -> Iterator[ServerEvent]:
        """The text of a segment of an item; never taken back. All of them make its transcript."""
        text = item.segments[number].text
        if text:
            is_first = not any(segment.text for segment in item.segments[:number])
            yield _server_event(
                f"{_TRANSCRIPTION}.delta",
                item_id=item.id,
                content_index=0,
                delta=text if is_first else f" {text}",
            )

    def _completed(self, item: _Item) -> ServerEvent:
        seconds = item.end - item.start
        self._service.metrics.audio.labels(self._settings.model.name).inc(max(seconds, 0.0))
        whole = Transcription.from_segments(item.segments, seconds, ())
        return _server_event(
            f"{_TRANSCRIPTION}.completed",
            item_id=item.id,
            content_index=0,
            transcript=whole.text,
            **spoken_fields(whole),
            usage={"type": "duration", "seconds": round(seconds, 3)},
            start=round(item.start, 3),
            end=round(item.end, 3),
            confidence=round(whole.confidence, 4),
            doubtful=whole.doubtful_segments > 0,
            words=[self._word(word_fields(word)) for each in item.segments for word in each.words],
        )

    def _word(self, word: dict[str, Any]) -> dict[str, Any]:
        """A word with its times in the session."""
        times = {name: round(self._input.offset + word[name], 3) for name in ("start", "end")}
        return {**word, **times}

    def _guarded(self, events: Iterator[ServerEvent]) -> Iterator[ServerEvent]:
        """The events of the stream. If it fails, its item has failed, and another one begins."""
        try:
            yield from events
        except (ApiError, CancelledError):
            raise
        except Exception as error:  # noqa: BLE001  (the log has it, the client an event)
            log_error(error, session=self.id)
            item = self._input.item or _Item(self._input.offset)
            failure = ApiError(500, "this speech could not be transcribed", "internal_error")
            yield _server_event(
                f"{_TRANSCRIPTION}.failed",
                item_id=item.id,
                content_index=0,
                error=failure.body()["error"],
            )
            self._begin_input()

    def _session_event(self, kind: str) -> ServerEvent:
        return _server_event(kind, session={"id": self.id, **self._settings.as_json()})


def error_event(error: ApiError) -> ServerEvent:
    """The event of an error that no client event has caused."""
    return _server_event("error", error={**error.body()["error"], "event_id": None})


def _parsed(frame: str) -> dict[str, Any]:
    """Read a client event. Raises ApiError if it is no JSON object, or too large."""
    if len(frame) > MAX_FRAME:
        raise ApiError(
            413, f"an event may have {MAX_FRAME} characters: send less audio at a time", "too_large"
        )
    try:
        event = json.loads(frame)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise bad_request("an event must be a JSON object", None, "invalid_json")
    return event


def _server_event(kind: str, **fields: Any) -> ServerEvent:
    return {"event_id": f"event_{token_hex(10)}", "type": kind, **fields}
