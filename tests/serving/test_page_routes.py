"""How the page's files are served."""

import re

import pytest
from helpers.servers import Server

from sorigeul.serving.page_routes import CONTENT_SECURITY_POLICY

FOREVER = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def folder(server: Server) -> str:
    """The address of the page's files, with their version."""
    addresses = re.findall(r'(?:src|href)="(page/\w+/)', server.get("/").text)
    assert len(addresses) == 3
    assert len(set(addresses)) == 1
    return f"/{addresses[0]}"


def test_the_page_is_asked_for_each_time_and_sent_when_it_has_changed(server: Server) -> None:
    first = server.get("/")
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    again = server.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert server.get("/", headers={"if-none-match": '"other"'}).content == first.content


def test_nothing_of_elsewhere_may_be_loaded(server: Server) -> None:
    policy = server.get("/").headers["content-security-policy"]
    assert policy == CONTENT_SECURITY_POLICY
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "<style" not in server.get("/").text


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("app.js", "text/javascript; charset=utf-8"),
        ("vendor/preact.mjs", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("example.mp3", "audio/mpeg"),
    ],
)
def test_a_file_has_its_type_and_is_kept_forever(
    server: Server, folder: str, name: str, type: str
) -> None:
    reply = server.get(folder + name)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == type
    assert reply.headers["cache-control"] == FOREVER
    assert server.get(f"/page/older/{name}").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "index.html", "..%2Fpage_routes.py", "vendor/"])
def test_only_files_of_the_page_are_served(server: Server, folder: str, name: str) -> None:
    reply = server.get(folder + name)
    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"


def test_the_example_is_small(server: Server, folder: str) -> None:
    assert 10_000 < len(server.get(f"{folder}example.mp3").content) < 100_000
