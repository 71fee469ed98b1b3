"""Real server processes on a free port of this machine, as users start them."""

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx
import openai

from helpers.processes import HANG_SECONDS, Forked


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: Forked

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, key: str = "any", **options: object) -> openai.OpenAI:
        """OpenAI's own client. It does not try again by itself."""
        settings = {"max_retries": 0, "timeout": HANG_SECONDS} | options
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, **settings)

    def get(self, path: str, **options: object) -> httpx.Response:
        return httpx.get(self.url + path, timeout=HANG_SECONDS, **options)

    def post(self, path: str = "/v1/audio/transcriptions", **options: object) -> httpx.Response:
        return httpx.post(self.url + path, timeout=HANG_SECONDS, **options)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all its labels that are not given."""
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            found = re.fullmatch(rf"{name}(\{{.*\}})? (\S+)", line)
            if found and all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(found[2])
        return total


@contextmanager
def serving(folder: Path, *arguments: str | Path, file_bytes: int = 0) -> Iterator[Server]:
    """Run `sorigeul serve` with these arguments; it is asked to stop at the end.

    It can write no file of more than `file_bytes`, if that is given.
    """
    process = Forked(folder, "serve", *arguments, "--port", "0", largest_file=file_bytes)
    address = process.outputs[0]
    try:
        ready = process.wait_until(lambda: address.exists() and "\n" in address.read_text())
        assert ready, process.done().err
        yield Server(address.read_text().strip(), process)
    finally:
        process.kill(signal.SIGTERM)
        process.done()


@contextmanager
def serving_with_wyoming(folder: Path, *arguments: str | Path) -> Iterator[tuple[Server, int]]:
    """As `serving`, with the port at which the server speaks Wyoming too."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(folder, *arguments, "--wyoming", str(port)) as server:
        yield server, port
