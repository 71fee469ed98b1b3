"""Reads events of the Wyoming protocol within bounds; the package reads whatever is declared."""

import asyncio
import json
from typing import Any

from wyoming.event import Event

from sorigeul.serving.api_errors import ApiError, bad_request

LONGEST_LINE = 64 * 1024
"""bytes of the line of JSON that begins an event"""
_LONGEST = {"data_length": 256 * 1024, "payload_length": 1024 * 1024}  # bytes of what follows


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The next event; None at the end. `reader` must have the limit `LONGEST_LINE`.

    Raises ApiError for what is no event, or larger than allowed.
    """
    try:
        line = await reader.readline()
    except ValueError:
        raise _refused(f"its first line is longer than {LONGEST_LINE} bytes") from None
    if not line:
        return None
    head = _object(line)
    kind, data = head.get("type"), {} if head.get("data") is None else head["data"]
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise _refused("it has no type, or its data is no object")
    try:
        rest = await _declared(reader, head, "data_length")
        payload = await _declared(reader, head, "payload_length")
    except asyncio.IncompleteReadError:
        return None
    return Event(kind, {**data, **(_object(rest) if rest else {})}, payload or None)


async def _declared(reader: asyncio.StreamReader, head: dict[str, Any], name: str) -> bytes:
    length = head.get(name) or 0
    if not isinstance(length, int) or not 0 <= length <= _LONGEST[name]:
        raise _refused(f"its {name} must be from 0 to {_LONGEST[name]}")
    return await reader.readexactly(length)


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _refused("it is no JSON object")
    return value


def _refused(reason: str) -> ApiError:
    return bad_request(f"this is no event of the Wyoming protocol: {reason}", None, "bad_event")
