"""The application: routes, errors and middleware of one server process."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from sorigeul.serving import (
    docs_routes,
    health_routes,
    model_routes,
    page_routes,
    realtime,
    transcription_routes,
)
from sorigeul.serving.api_errors import ApiError
from sorigeul.serving.authentication import Authentication
from sorigeul.serving.body_limit import BodyLimit
from sorigeul.serving.request_log import RequestLog
from sorigeul.serving.security_headers import SecurityHeaders
from sorigeul.serving.service import Service

_ROUTES = (
    docs_routes,
    health_routes,
    model_routes,
    page_routes,
    realtime,
    transcription_routes,
)
_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_application(service: Service, wyoming: socket.socket | None = None) -> FastAPI:
    """Build the application of a process; `wyoming` is where it speaks that protocol."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if wyoming is not None:
                from sorigeul.serving.wyoming_server import wyoming_server

                await stack.enter_async_context(wyoming_server(service, wyoming))
            yield

    application = FastAPI(title="sorigeul", docs_url=None, redoc_url=None, lifespan=lifespan)
    application.state.service = service
    for module in _ROUTES:
        application.include_router(module.router)
    application.add_exception_handler(ApiError, _api_error)
    application.add_exception_handler(HTTPException, _http_error)
    application.add_exception_handler(RequestValidationError, _validation_error)
    application.add_middleware(BodyLimit, service=service)  # the last one is the outermost
    application.add_middleware(Authentication, keys=service.keys)
    if service.options.cors_origin:
        application.add_middleware(
            CORSMiddleware,
            allow_origins=service.options.cors_origin,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "retry-after", "retry-after-ms"],
        )
    application.add_middleware(SecurityHeaders)
    application.add_middleware(RequestLog, service=service)
    return application


async def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "invalid_request")
    message = f"{request.method} {request.url.path}: {error.detail.lower()}"
    response = ApiError(error.status_code, message, code).response()
    response.headers.update(error.headers or {})
    return response


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    return ApiError(400, f"{name}: {first['msg']}", "invalid_value", name).response()
