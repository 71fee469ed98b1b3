"""The WebSocket `/v1/realtime`: live audio in OpenAI's Realtime transcription protocol.

A page cannot read the HTTP status with which a WebSocket is refused. So only a missing key and a
foreign page are refused before the socket is open; everything else is an `error` event, after which
the socket is closed: with code 1013 if the client may try again later, 1001 if the server stops,
1008 otherwise.
"""

import asyncio
import json
import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from sorigeul.serving.admission import shutting_down
from sorigeul.serving.api_errors import ApiError, bad_request, quoted
from sorigeul.serving.batch_queue import CancelledError
from sorigeul.serving.json_log import log_error, log_event
from sorigeul.serving.models import ServedModel
from sorigeul.serving.realtime_session import (
    MAX_FRAME,
    RealtimeSession,
    ServerEvent,
    error_event,
)
from sorigeul.serving.service import Service

router = APIRouter()

MAX_SESSIONS = 64
"""most live sessions of a server process at a time"""
_SESSIONS_PER_SPEED = 2.0
"""sessions that are followed for each second of audio that a model recognises in a second: people
pause, and a busy model is at least twice as fast as its small batches of late, by larger ones"""
_LONGEST_WAIT = 1.0  # seconds; where segments wait longer in the queue, no session is added
_IDLE_SECONDS = 600.0  # after which a session without any event of the client is ended
_POLL_SECONDS = 0.2

_sessions: set[RealtimeSession] = set()  # of this process
_threads = ThreadPoolExecutor(MAX_SESSIONS, "live")

_TRY_LATER, _GOING_AWAY, _REFUSED = 1013, 1001, 1008  # RFC 6455 and its registry of close codes


class _SessionEnd(Exception):
    """The server ends the session: an error event, then the close code."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error
        self.code = {429: _TRY_LATER, 503: _GOING_AWAY}.get(error.status, _REFUSED)


@router.websocket("/v1/realtime")
async def realtime(websocket: WebSocket) -> None:
    """Transcribe what somebody says, while they say it."""
    service = Service.of(websocket)
    try:
        service.keys.check(websocket.headers)
        service.check_origin(websocket)
    except ApiError as error:
        await websocket.send_denial_response(error.response())
        return
    offered = websocket.scope["subprotocols"]
    await websocket.accept("realtime" if "realtime" in offered else None)
    try:
        model = _requested_model(websocket, service)
        with _place(service, model) as session:
            await _Connection(websocket, session, service).serve()
    except ApiError as error:
        await _end(websocket, _SessionEnd(error))


def _requested_model(websocket: WebSocket, service: Service) -> ServedModel:
    """The model of the query, or the first. Raises ApiError for what is not supported."""
    query = websocket.query_params
    for name in query:
        if name not in ("intent", "model"):
            raise bad_request(f"no such parameter: {quoted(name)}", name, "unknown_parameter")
    if query.get("intent", "transcription") != "transcription":
        raise bad_request("intent must be transcription", "intent", "unsupported_value")
    if "model" in query:
        return service.model(query["model"])
    return next(iter(service.models.values()))


@contextmanager
def _place(service: Service, model: ServedModel) -> Iterator[RealtimeSession]:
    """A session, if there is a place for it. Raises ApiError with status 429 or 503 if not."""
    with service.admission.place():
        most = min(MAX_SESSIONS, max(int(_SESSIONS_PER_SPEED * model.queue.speed), 1))
        if len(_sessions) >= most:
            raise service.admission.busy(
                f"there are {len(_sessions)} live sessions, and this server keeps up with {most}"
            )
        if model.queue.waiting_seconds > _LONGEST_WAIT * model.queue.speed:
            raise service.admission.busy("the model is too busy for another live session")
        session = RealtimeSession(service, model)
        _sessions.add(session)
        try:
            yield session
        finally:
            session.close()
            _sessions.remove(session)


async def _end(websocket: WebSocket, end: _SessionEnd) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):  # the client has left
        await websocket.send_text(json.dumps(error_event(end.error)))
        await websocket.close(end.code, end.error.code)


class _Connection:
    """One socket. Its events are read here, and handled one by one in a thread of the session."""

    def __init__(self, websocket: WebSocket, session: RealtimeSession, service: Service) -> None:
        self._websocket, self._session, self._service = websocket, session, service
        self._loop = asyncio.get_running_loop()
        self._frames: queue.SimpleQueue[str | None] = queue.SimpleQueue()  # None: no more
        self._received = self._handled = 0  # characters of the client's events

    async def serve(self) -> None:
        """Serve until the client leaves, or the server ends the session."""
        begin = self._loop.time()
        work = self._loop.run_in_executor(_threads, self._work)
        reading = asyncio.create_task(self._read())
        draining = asyncio.create_task(self._wait_for_draining())
        tasks = (work, reading, draining)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if draining.done() and not (work.done() or reading.done()):
                self._frames.put(None)
                await asyncio.wait((work, reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._session.close()
            self._frames.put(None)
            reading.cancel()
            draining.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, _SessionEnd):
                await _end(self._websocket, outcome)
            elif isinstance(outcome, Exception) and not isinstance(outcome, CancelledError):
                log_error(outcome, session=self._session.id)
        if self._service.admission.draining:
            await _end(self._websocket, _SessionEnd(shutting_down()))
        log_event(
            "live",
            session=self._session.id,
            seconds=round(self._loop.time() - begin, 3),
            audio_seconds=round(self._session.seconds, 3),
        )

    async def _read(self) -> None:
        """Put what comes into the queue. Raises `_SessionEnd`, and returns when the client left."""
        while True:
            try:
                message = await asyncio.wait_for(self._websocket.receive(), _IDLE_SECONDS)
            except asyncio.TimeoutError:
                error = ApiError(408, f"no event came for {_IDLE_SECONDS:g} s", "session_idle")
                raise _SessionEnd(error) from None
            if message["type"] == "websocket.disconnect":
                return
            frame = message.get("text")
            if frame is None:
                await self._send(
                    error_event(bad_request("events are text: a binary one was sent", None))
                )
                continue
            waiting = self._received - self._handled
            if waiting and waiting + len(frame) > MAX_FRAME:
                raise _SessionEnd(
                    ApiError(
                        413,
                        f"{MAX_FRAME} characters of events wait to be handled: send audio as it is "
                        "spoken, or longer recordings to /v1/audio/transcriptions",
                        "too_far_ahead",
                    )
                )
            self._received += len(frame)
            self._frames.put(frame)

    async def _wait_for_draining(self) -> None:
        while not self._service.admission.draining:
            await asyncio.sleep(_POLL_SECONDS)

    async def _send(self, event: ServerEvent) -> None:
        """Send an event. Raises `CancelledError` if the client has left."""
        try:
            await self._websocket.send_text(json.dumps(event))
        except (WebSocketDisconnect, RuntimeError):
            raise CancelledError from None

    def _work(self) -> None:
        """Handle the client's events in their order, in a thread."""
        self._answer(self._session.opening())
        while (frame := self._frames.get()) is not None:
            for event in self._session.handle(frame):
                self._answer(event)
            self._handled += len(frame)
            if self._session.too_long:
                seconds = self._service.options.max_seconds
                raise _SessionEnd(
                    ApiError(413, f"a session may have {seconds:g} s of audio", "session_too_long")
                )
        if not self._session.closed:
            for event in self._session.drain():
                self._answer(event)

    def _answer(self, event: ServerEvent) -> None:
        """Send an event from the thread, and wait until it has gone."""
        asyncio.run_coroutine_threadsafe(self._send(event), self._loop).result()
