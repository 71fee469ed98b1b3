"""Middleware that bounds uploads: bytes of each, bytes of all together, and the time they take.

Bytes are counted as they arrive, whatever the request declares.
"""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sorigeul.serving.api_errors import ApiError
from sorigeul.serving.service import Service

_UPLOADS_IN_MEMORY = 2  # of the largest size, in each process


class BodyLimit:
    """Refuses bodies with status 413, 408 for slow ones, 429 if there are too many at a time."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service
        self._most = service.options.max_upload_bytes
        self._held = 0  # bytes of all uploads that are in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request whose body is within the limits."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        # As a float, since `int` fails on thousands of digits.
        if declared.isdecimal() and float(declared) > self._most:
            await self._too_large().response()(scope, receive, send)
            return
        deadline = time.monotonic() + self.service.options.upload_seconds
        size, complete = 0, False

        async def limited_receive() -> Message:
            nonlocal size, complete
            if complete:  # what comes now is the end of the connection
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(deadline - time.monotonic(), 0))
            except asyncio.TimeoutError:
                raise ApiError(
                    408,
                    f"the upload has taken more than {self.service.options.upload_seconds:g} s",
                    "upload_timeout",
                ) from None
            if message["type"] == "http.request":
                complete = not message.get("more_body", False)
                size += len(message["body"])
                self._held += len(message["body"])
                if size > self._most:
                    raise self._too_large()
                if self._held > _UPLOADS_IN_MEMORY * self._most:
                    raise self.service.admission.busy("too many large uploads at a time")
            return message

        try:
            await self.app(scope, limited_receive, send)
        finally:
            self._held -= size

    def _too_large(self) -> ApiError:
        return ApiError(
            413,
            f"the upload is larger than {self.service.options.max_upload}; compress the recording, "
            "or cut it into parts",
            "upload_too_large",
            "file",
        )
