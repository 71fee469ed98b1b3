"""`GET /healthz`, `/readyz` and `/metrics`, for those who run the server."""

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from sorigeul.serving.api_description import ERRORS
from sorigeul.serving.service import Service

router = APIRouter()

_READY: dict[int | str, dict[str, Any]] = {**ERRORS, 503: {"description": "Not now"}}


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", responses=ERRORS)
async def healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses=_READY)
async def readyz(request: Request) -> Response:
    """Whether a request would be accepted now: status 200, otherwise 503.

    The models are loaded, and have computed something, before the server listens.
    """
    admission = Service.of(request).admission
    status = "ready"
    if admission.draining:
        status = "shutting down"
    elif admission.is_full:
        status = "queue full"
    return JSONResponse({"status": status}, 200 if status == "ready" else 503)


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **ERRORS}
)
async def metrics(request: Request) -> Response:
    """All counts in Prometheus's text format."""
    return Response(Service.of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)
