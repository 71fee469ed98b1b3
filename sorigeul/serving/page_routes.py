"""`GET /`: the page for people, with its scripts, styles and an example recording.

The addresses of all files but `/` begin with a version that changes with any of them. So a browser
may keep them forever, and still never mixes files of two versions.
"""

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from sorigeul.serving.api_errors import ApiError

router = APIRouter()

_FOLDER = Path(__file__).with_name("page")
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".mp3": "audio/mpeg",
    ".svg": "image/svg+xml",
}
_FILES = {
    path.relative_to(_FOLDER).as_posix(): path.read_bytes()
    for path in sorted(_FOLDER.rglob("*"))
    if path.suffix in _TYPES
}
_VERSION = hashlib.sha256(
    b"".join(name.encode() + b"\0" + content for name, content in _FILES.items())
).hexdigest()[:16]
_INDEX = (_FOLDER / "index.html").read_bytes().replace(b"{version}", _VERSION.encode())
_INDEX_TAG = f'"{hashlib.sha256(_INDEX).hexdigest()[:16]}"'

# wavesurfer puts a style sheet of its own into the waveform; nothing else may.
_WAVESURFER_STYLE = "sha256-qg0uSSfJYaGrLwqWKxYxz65PSr2rsIyu2yQ4eEf3Uws="
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' '{_WAVESURFER_STYLE}'",
        "img-src 'self'",
        "media-src blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""what the page may load and do: only what comes from this server, and sound from the user"""


@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def page(request: Request) -> Response:
    """The page; a browser asks each time whether it has changed."""
    headers = {
        "cache-control": "no-cache",
        "content-security-policy": CONTENT_SECURITY_POLICY,
        "etag": _INDEX_TAG,
    }
    if request.headers.get("if-none-match") == _INDEX_TAG:
        return Response(status_code=304, headers=headers)
    return Response(_INDEX, headers=headers, media_type="text/html; charset=utf-8")


@router.api_route("/page/{version}/{name:path}", methods=["GET", "HEAD"], include_in_schema=False)
async def page_file(version: str, name: str) -> Response:
    """A file of the page; of an older version, the one that is there now, not to be kept."""
    if name not in _FILES:
        raise ApiError(404, f"the page has no file {name}", "not_found")
    forever = "public, max-age=31536000, immutable"
    headers = {"cache-control": forever if version == _VERSION else "no-cache"}
    return Response(_FILES[name], headers=headers, media_type=_TYPES[Path(name).suffix])
