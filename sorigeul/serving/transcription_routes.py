"""`POST /v1/audio/transcriptions`, and the refusal of translations."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sorigeul.recognition.transcription import Segment
from sorigeul.serving import replies
from sorigeul.serving.admission import shutting_down
from sorigeul.serving.api_description import (
    ERRORS,
    TRANSCRIPTION_FORM,
    TRANSCRIPTION_REPLIES,
)
from sorigeul.serving.api_errors import ApiError, bad_request
from sorigeul.serving.batch_queue import CancelledError
from sorigeul.serving.json_log import log_error
from sorigeul.serving.service import Service
from sorigeul.serving.transcription_request import TranscriptionRequest
from sorigeul.serving.upload_form import UploadForm
from sorigeul.serving.upload_transcription import HearingOptions, UploadTranscription

router = APIRouter()

_CLIENT_HAS_LEFT = 499  # nginx's status for it; nobody reads it but the log


@router.post(
    "/v1/audio/transcriptions",
    openapi_extra=TRANSCRIPTION_FORM,
    responses=TRANSCRIPTION_REPLIES,
    response_class=Response,
)
async def create_transcription(request: Request) -> Response:
    """Transcribe a recording.

    The fields are those of OpenAI's API, and any of its clients works. What is not supported is
    refused with status 400, never ignored.
    """
    service = Service.of(request)
    service.admission.check()  # before the body is read
    form = await UploadForm.read(request)
    wanted = TranscriptionRequest.from_form(form, service)
    options = HearingOptions(service.options.max_seconds, wanted.terms, wanted.detection)
    with ExitStack() as stack:
        stack.enter_context(service.admission.place())
        work = UploadTranscription(wanted.recording, wanted.model, options)
        watch = asyncio.create_task(_cancel_when_left(request, work))
        stack.callback(watch.cancel)
        stack.callback(work.cancel)
        answer = _Answer(request, service, wanted, work)
        try:
            if not wanted.stream:
                return await answer.whole()
            first = await answer.first_event()
        except CancelledError:
            if service.admission.draining:
                raise shutting_down() from None
            service.metrics.abandoned.inc()
            return Response(status_code=_CLIENT_HAS_LEFT)
        return _EventStream(first, answer, stack.pop_all())


@router.post("/v1/audio/translations", responses=ERRORS)
async def create_translation() -> Response:
    """Refuse to translate."""
    raise bad_request(
        "translation into English is not supported; POST /v1/audio/transcriptions writes Korean",
        None,
        "unsupported_operation",
    )


async def _cancel_when_left(request: Request, work: UploadTranscription) -> None:
    """Wait until the client closes the connection, which the framework does not tell."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    work.cancel()


class _Answer:
    """The reply to one request, as its recording is transcribed."""

    def __init__(
        self,
        request: Request,
        service: Service,
        wanted: TranscriptionRequest,
        work: UploadTranscription,
    ) -> None:
        self._request, self._service = request, service
        self._wanted, self._work = wanted, work
        self._segments = work.segments()

    async def whole(self) -> Response:
        """The reply in one piece."""
        async for _ in self._segments:
            pass
        self._count()
        format, transcription = self._wanted.response_format, self._work.transcription
        if format in replies.TEXT_TYPES:
            text = replies.text_reply(format, transcription)
            return PlainTextResponse(text, media_type=replies.TEXT_TYPES[format])
        content: dict[str, Any]
        if format == "verbose_json":
            content = replies.verbose_reply(transcription, self._wanted)
        else:
            content = replies.json_reply(transcription, self._wanted.logprobs)
        return JSONResponse(content)

    async def first_event(self) -> str | None:
        """The first event, so that a recording that cannot be used is an error with a status."""
        self._events = self._all_events()
        return await anext(self._events, None)

    async def other_events(self) -> AsyncIterator[str]:
        """The events after the first one; an error is the last of them."""
        try:
            async for event in self._events:
                yield event
        except ApiError as error:
            yield replies.error_event(error)
        except CancelledError:
            self._service.metrics.abandoned.inc()
            if self._service.admission.draining:
                yield replies.error_event(shutting_down())
        except Exception as fault:  # noqa: BLE001  (the log has it, the client an event)
            log_error(fault, request_id=self._request.scope["sorigeul.request_id"])
            yield replies.error_event(
                ApiError(500, "the recording could not be transcribed", "internal_error")
            )

    async def _all_events(self) -> AsyncIterator[str]:
        is_first = True
        number = 0
        segment: Segment
        async for segment in self._segments:
            if segment.text:
                yield replies.delta_event(number, segment, is_first, self._wanted)
                is_first = False
            number += 1
        self._count()
        peaks = self._work.peaks if self._wanted.peaks else []
        yield replies.done_event(self._work.transcription, self._wanted, peaks)

    def _count(self) -> None:
        seconds = self._work.transcription.duration
        self._service.metrics.audio.labels(self._wanted.model.name).inc(seconds)
        self._service.admission.finished(seconds)
        self._request.scope["sorigeul.audio_seconds"] = seconds


class _EventStream(StreamingResponse):
    """Server-sent events. What the request held is given back when the reply has ended."""

    def __init__(self, first: str | None, answer: _Answer, held: ExitStack) -> None:
        async def events() -> AsyncIterator[str]:
            if first is not None:
                yield first
            async for event in answer.other_events():
                yield event

        super().__init__(
            events(),
            media_type="text/event-stream",
            headers={"cache-control": "no-cache", "x-accel-buffering": "no"},  # nginx
        )
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held, suppress(OSError):  # the client has left
            await super().__call__(scope, receive, send)
