"""Middleware around everything: an id for each request, a line in the log, metrics, and the reply
to a fault of ours."""

import time
from secrets import token_hex
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sorigeul.serving.api_errors import ApiError
from sorigeul.serving.json_log import log_error, log_event
from sorigeul.serving.service import Service

_HEALTH = ("/healthz", "/readyz", "/metrics")


class RequestLog:
    """Logs and counts requests. The path is logged as the route has it, without a query."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; an exception becomes status 500."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope["sorigeul.request_id"] = f"req_{token_hex(12)}"
        admission = self.service.admission
        is_health = scope["path"] in _HEALTH
        begin, status = time.monotonic(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if admission.draining:
                    headers["connection"] = "close"
            await send(message)

        admission.requests += not is_health
        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:  # noqa: BLE001  (the log has it, the client status 500)
            log_error(error, request_id=request_id)
            if not status:
                failure = ApiError(500, "the server has failed; its log says why", "internal_error")
                await failure.response()(scope, receive, send_with_id)
        finally:
            admission.requests -= not is_health
            self._note(scope, request_id, status, time.monotonic() - begin)

    def _note(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        metrics, route = self.service.metrics, getattr(scope.get("route"), "path", "other")
        method = scope["method"] if route != "other" else "other"
        metrics.requests.labels(route, method, str(status)).inc()
        metrics.latency.labels(route).observe(seconds)
        fields: dict[str, Any] = {
            "request_id": request_id,
            "method": method,
            "path": route,
            "status": status,
            "seconds": round(seconds, 4),
        }
        if "sorigeul.audio_seconds" in scope:
            fields["audio_seconds"] = round(scope["sorigeul.audio_seconds"], 3)
        log_event("request", **fields)
