"""What the routes of a server process share: ``request.app.state.service``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from sorigeul.serving.admission import Admission
from sorigeul.serving.api_errors import ApiError, quoted
from sorigeul.serving.authentication import ApiKeys
from sorigeul.serving.metrics import Metrics
from sorigeul.serving.models import ServedModel
from sorigeul.serving.options import ServingOptions


@dataclass(frozen=True, eq=False)
class Service:
    """One server process."""

    options: ServingOptions
    models: Mapping[str, ServedModel]
    admission: Admission
    keys: ApiKeys
    metrics: Metrics

    @classmethod
    def of(cls, connection: HTTPConnection) -> "Service":
        """The service that a request, or a WebSocket, has come to."""
        return cast(Service, connection.app.state.service)

    def check_origin(self, connection: HTTPConnection) -> None:
        """Raise ApiError with status 403 if a page of somebody else's has opened a WebSocket.

        Browsers do not ask for it as they do before requests, so a server must look by itself.
        """
        origin = connection.headers.get("origin")
        own = urlsplit(origin or "").netloc == connection.headers.get("host")
        if origin and not own and origin not in self.options.cors_origin:
            raise ApiError(403, f"pages of {origin} may not use this server", "origin_not_allowed")

    def model(self, name: str) -> ServedModel:
        """The model of a name. Raises ApiError with status 404 if there is none."""
        if name not in self.models:
            raise ApiError(
                404,
                f"there is no model {quoted(name)}; there are: {', '.join(self.models)}",
                "model_not_found",
                "model",
            )
        return self.models[name]
