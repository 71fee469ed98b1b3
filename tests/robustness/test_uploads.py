"""Damaged uploads to a server: damaged recordings, and requests that are damaged themselves.

The property: a text, or an error of the client's (4xx) in one printable line. The server goes on,
answers what it answered before, and holds no more memory.
"""

import json
import re
from pathlib import Path
from random import Random

import httpx2 as httpx
import pytest
from helpers import tones
from helpers.mutations import mutated, recordings_of_all_kinds
from helpers.servers import Server, serving

_PATH = "/v1/audio/transcriptions"
_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
_MOST_GROWTH = 400  # MiB


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("kinds")
    return recordings_of_all_kinds(tones.synthesize("가나다라"), folder)


def test_damaged_uploads(run: Path, kinds: dict[str, bytes], tmp_path: Path) -> None:
    _try_uploads(run, kinds, tmp_path, tries=40)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_a_thousand_damaged_uploads(run: Path, kinds: dict[str, bytes], tmp_path: Path) -> None:
    _try_uploads(run, kinds, tmp_path, tries=1_000)


def _try_uploads(run: Path, kinds: dict[str, bytes], folder: Path, tries: int) -> None:
    endings = list(kinds)
    with serving(folder, run) as server, httpx.Client(base_url=server.url, timeout=100) as client:
        before = [_reply(client, kinds[ending], ending).text for ending in endings]
        assert any(before)
        memory = _memory(server)
        statuses = []
        for number in range(tries):
            random, ending = Random(number), endings[number % len(endings)]
            damaged_request = random.random() < 0.25
            data = kinds[ending] if damaged_request else mutated(kinds[ending], random)
            request = _request(client, data, ending, random.choice(_FORMATS))
            content = mutated(request.content, random) if damaged_request else request.content
            headers = {"content-type": request.headers["content-type"]}
            reply = client.post(_PATH, content=content, headers=headers)
            _check(reply, number)
            statuses.append(reply.status_code)
        assert tries / 4 < statuses.count(200) < tries
        assert server.process.running()
        assert server.get("/readyz").status_code == 200
        assert [_reply(client, kinds[ending], ending).text for ending in endings] == before
        assert _memory(server) - memory < _MOST_GROWTH
    errors = server.process.outputs[1].read_text(encoding="utf-8")
    assert "Traceback" not in errors
    assert errors.replace("\n", "").isprintable()


def _request(client: httpx.Client, data: bytes, ending: str, format: str) -> httpx.Request:
    request = client.build_request(
        "POST",
        _PATH,
        files={"file": (f"a.{ending}", data)},
        data={"model": "tiny", "response_format": format},
    )
    request.read()
    return request


def _reply(client: httpx.Client, data: bytes, ending: str) -> httpx.Response:
    return client.send(_request(client, data, ending, "text"))


def _check(reply: httpx.Response, number: int) -> None:
    """Check the property for one upload."""
    if reply.status_code == 200:
        return
    assert 400 <= reply.status_code < 500, (number, reply.status_code, reply.text)
    error = json.loads(reply.text)["error"]
    assert error["message"].isprintable(), (number, error)
    assert len(error["message"]) < 1_000, (number, error)


def _memory(server: Server) -> float:
    """Memory of the server in MiB, of which the system counts every page that it holds."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) / 1024
