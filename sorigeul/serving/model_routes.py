"""`GET /v1/models` and `/v1/models/{id}`."""

from typing import Any

from fastapi import APIRouter, Request

from sorigeul.serving.api_description import ERRORS
from sorigeul.serving.models import ServedModel
from sorigeul.serving.service import Service

router = APIRouter()


@router.get("/v1/models", responses=ERRORS)
async def list_models(request: Request) -> dict[str, Any]:
    """The models that are served."""
    models = Service.of(request).models.values()
    return {"object": "list", "data": [_fields(model) for model in models]}


@router.get("/v1/models/{name:path}", responses=ERRORS)
async def get_model(request: Request, name: str) -> dict[str, Any]:
    """One of them."""
    return _fields(Service.of(request).model(name))


def _fields(model: ServedModel) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": model.created,
        "owned_by": "sorigeul",
    }
