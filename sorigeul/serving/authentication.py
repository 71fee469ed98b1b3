"""API keys: read from a file or the environment, compared in constant time."""

import hmac
import os
from collections.abc import Sequence
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sorigeul.base.errors import UserError
from sorigeul.serving.api_errors import ApiError

VARIABLE = "SORIGEUL_API_KEY"
SUBPROTOCOL = "openai-insecure-api-key."
_PROTECTED = ("/v1", "/metrics", "/openapi.json", "/docs")


class ApiKeys:
    """The keys that are accepted. Without any key everybody is."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    @classmethod
    def load(cls, path: Path | None) -> "ApiKeys":
        """Read keys from a file, one a line, or from SORIGEUL_API_KEY, separated by commas.

        Raises UserError if the file cannot be read or holds no key.
        """
        if path is None:
            keys = os.environ.get(VARIABLE, "").split(",")
            return cls([key.strip() for key in keys if key.strip()])
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise UserError(f"{path}: cannot be read as a file of API keys ({reason})") from None
        keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not keys:
            raise UserError(f"{path}: holds no API key; write one a line")
        return cls(keys)

    def check(self, headers: Headers) -> None:
        """Raise ApiError with status 401 unless the header Authorization has a key.

        A browser's WebSocket cannot send that header. As with OpenAI, its key is the name of a
        subprotocol, after `SUBPROTOCOL`.
        """
        if not self._keys:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        keys = [given.strip()] if scheme.lower() == "bearer" and given.strip() else []
        keys += [
            name.strip().removeprefix(SUBPROTOCOL)
            for name in headers.get("sec-websocket-protocol", "").split(",")
            if name.strip().startswith(SUBPROTOCOL)
        ]
        if not keys:
            raise ApiError(
                401,
                "an API key is needed: send it as 'Authorization: Bearer KEY'",
                "missing_api_key",
            )
        # Headers are decoded as Latin-1, whatever the bytes of a key are.
        if not any(self.accepts(key.encode("latin-1")) for key in keys):
            raise ApiError(401, "the API key is not one of this server's", "invalid_api_key")

    def accepts(self, key: bytes) -> bool:
        """Whether a key is one of these. It takes the same time wherever keys differ."""
        return sum(hmac.compare_digest(key, known) for known in self._keys) > 0


class Authentication:
    """Middleware that asks for a key, except for the page and the checks of health."""

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self.app, self.keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it with status 401; a WebSocket asks by itself."""
        is_preflight = scope.get("method") == "OPTIONS"
        if scope["type"] == "http" and scope["path"].startswith(_PROTECTED) and not is_preflight:
            try:
                self.keys.check(Headers(scope=scope))
            except ApiError as error:
                await error.response()(scope, receive, send)
                return
        await self.app(scope, receive, send)
