"""uvicorn's HTTP/1.1 with a time limit for the head of a request, and errors in OpenAI's shape."""

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sorigeul.serving.api_errors import bad_request

_HEAD_SECONDS = 30.0


class HttpProtocol(H11Protocol):
    """One connection. A client that sends no whole head in time is cut off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def on_response_complete(self) -> None:
        """Begin to wait for the next head."""
        super().on_response_complete()
        self._await_head()

    def send_400_response(self, msg: str) -> None:
        """Reply to what is no HTTP, or has a head of more than 16 KiB."""
        error = bad_request("this is no valid HTTP, or its headers are too long", None, "bad_http")
        body = json.dumps(error.body()).encode()
        head = h11.Response(
            status_code=400,
            reason=b"Bad Request",
            headers=[
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"connection", b"close"),
            ],
        )
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _await_head(self) -> None:
        self.loop.call_later(_HEAD_SECONDS, self._cut_off_if_idle, self.cycle)

    def _cut_off_if_idle(self, last_cycle: object) -> None:
        waits = self.conn.their_state is h11.IDLE and self.cycle is last_cycle
        if waits and self.transport.get_protocol() is self and not self.transport.is_closing():
            self.transport.close()
