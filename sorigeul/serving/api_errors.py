"""Errors in the shape of OpenAI's API: ``{"error": {"message", "type", "param", "code"}}``."""

import math
import reprlib
from typing import Any

from starlette.responses import JSONResponse

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}


_QUOTES = reprlib.Repr()
_QUOTES.maxstring = _QUOTES.maxother = 80  # characters


def quoted(value: Any) -> str:
    """What a client has sent, as it may stand in a message: printable, and not long."""
    return _QUOTES.repr(value)


class ApiError(Exception):
    """A request that is not answered as asked, and why: in one line for the client."""

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        """`retry_after`: seconds after which the client may try again."""
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """The reply, as JSON."""
        return {
            "error": {
                "message": self.message,
                "type": _TYPES.get(self.status, "invalid_request_error"),
                "param": self.param,
                "code": self.code,
            }
        }

    def headers(self) -> dict[str, str]:
        """The headers of the reply: when to come again, to the second and to the millisecond."""
        headers = {}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.retry_after is not None:
            headers["retry-after"] = str(math.ceil(self.retry_after))
            headers["retry-after-ms"] = str(math.ceil(1000 * self.retry_after))
        return headers

    def response(self) -> JSONResponse:
        """The reply."""
        return JSONResponse(self.body(), self.status, self.headers())


def bad_request(message: str, param: str | None, code: str = "invalid_value") -> ApiError:
    """The error of a field that cannot be used."""
    return ApiError(400, message, code, param)
