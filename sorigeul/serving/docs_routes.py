"""`GET /docs`: the API on one page, written from its OpenAPI description.

FastAPI's own page loads scripts from elsewhere; this one loads nothing.
"""

import hashlib
from base64 import b64encode
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from sorigeul.serving.security_headers import CONTENT_SECURITY_POLICY

router = APIRouter(include_in_schema=False)

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td { border-top: 1px solid #8888; padding: .3rem .8rem .3rem 0 }
td { vertical-align: top } :root { color-scheme: light dark }
"""
_STYLE_HASH = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"{CONTENT_SECURITY_POLICY}; style-src 'sha256-{_STYLE_HASH}'"


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """All routes, with the fields of their forms."""
    description = request.app.openapi()
    operations = [
        _operation(method, path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return HTMLResponse(
        f"<!doctype html><html lang=en><meta charset=utf-8><title>sorigeul</title>"
        f"<style>{_STYLE}</style><h1>sorigeul</h1><p>The same for programs: "
        f"<a href=/openapi.json>/openapi.json</a></p>{''.join(operations)}</html>",
        headers={"content-security-policy": _POLICY},
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    text = escape(operation.get("description", operation.get("summary", "")))
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("multipart/form-data", {}).get("schema", {})
    required = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{' (required)' if name in required else ''}"
        f"<td>{_values(field)}{escape(field.get('description', ''))}"
        for name, field in schema.get("properties", {}).items()
    )
    table = f"<table>{rows}</table>" if rows else ""
    return f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{text}</p>{table}"


def _values(field: dict[str, Any]) -> str:
    """The values that a field may have, if they are few."""
    values = field.get("items", field).get("enum", ())
    return f"<code>{escape(' | '.join(values))}</code><br>" if values else ""
