"""Tests of what the server says about itself, and of how it answers what follows from that."""

import hashlib
import re
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from helpers.servers import Server

from sorigeul.serving import transcription_request
from sorigeul.serving.api_description import TRANSCRIPTION_FORM


def test_the_description_names_every_route(server: Server) -> None:
    paths = server.get("/openapi.json").json()["paths"]
    assert {
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/models",
        "/v1/models/{name}",
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
    } <= paths.keys()
    assert not any(
        "422" in method["responses"] for path in paths.values() for method in path.values()
    )


def test_every_field_that_is_read_is_described() -> None:
    source = Path(transcription_request.__file__).read_text(encoding="utf-8")
    content = TRANSCRIPTION_FORM["requestBody"]["content"]["multipart/form-data"]
    described = set(content["schema"]["properties"])
    refused = {"known_speaker_names", "known_speaker_references"}
    read = set(re.findall(r'form\.(?:text|file|choice|number|flag)\("([^"]+)"', source))
    lists = set(re.findall(r'(?:form\.list\(|_choices\(form, )"([^"]+)"', source))
    assert len(read) > 5
    assert len(lists) > 2
    assert read <= described
    assert {f"{name}[]" for name in lists - refused} <= described


def test_the_page_of_the_description_loads_nothing_from_elsewhere(server: Server) -> None:
    reply = server.get("/docs")
    page = reply.text
    assert "POST /v1/audio/transcriptions" in page
    assert "keywords[]" in page
    assert "<script" not in page
    assert set(re.findall(r"(?:href|src)=\"?([^\s>\"]+)", page)) == {"/openapi.json"}
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    allowed = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = reply.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", f"style-src 'sha256-{allowed}'"} <= set(policy)


@pytest.mark.prove
def test_no_request_that_follows_from_the_description_does_harm(
    server: Server, tmp_path: Path
) -> None:
    """Schemathesis, on its own, since random bytes are no recording."""
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{server.url}/openapi.json",
        "--exclude-path-regex",
        "^/(page|metrics|$)",
        "--exclude-checks",
        "positive_data_acceptance",
        "--max-examples",
        "50",
        "--generation-database",
        "none",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=280, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert server.get("/healthz").status_code == 200
