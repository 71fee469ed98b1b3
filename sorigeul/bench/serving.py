"""Benchmark suite "serving": requests answered by a server process, of one client and of many.

The clients are not of the server's process, but share the machine with it.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import numpy as np

from sorigeul.base.errors import UserError
from sorigeul.bench.measurements import Measurement, Target
from sorigeul.bench.published_model import publish_untrained
from sorigeul.synthesis.demo import recordings

_BOUNDARY = "sorigeul-benchmark"
_CLIENTS, _SECONDS = 64, 8.0
_RECORDINGS = 32  # of the demo corpus


def measure_serving() -> Iterator[Measurement]:
    """Measure many clients at once, whose requests are batched, against one after the other."""
    requests = [request_bytes("model", recording) for recording in recordings(_RECORDINGS)]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "model")
        publish_untrained(run, "quickstart", ends=False)
        with running_server(run) as server:
            alone = asyncio.run(put_load(server.port, requests, 1, _SECONDS))
            many = asyncio.run(put_load(server.port, requests, _CLIENTS, _SECONDS))
    yield Measurement(
        name=f"serving, quickstart, {_CLIENTS} clients",
        value=many.answered_per_second,
        unit="requests/s",
        yardstick=f"one client: {alone.answered_per_second:.1f} requests/s",
        ratio=many.answered_per_second / alone.answered_per_second,
        targets=(Target("ratio", "at least", 2, "one process runs Python in one thread"),),
    )
    yield Measurement(
        name=f"serving, quickstart, {_CLIENTS} clients, 95 of 100 requests",
        value=many.percentile(95),
        unit="s",
        yardstick=f"one client: {alone.percentile(95):.3f} s",
    )


@dataclass
class Load:
    """What clients have seen: seconds of each answer by its status, 0 for a broken connection."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    texts: dict[str, set[str]] = field(default_factory=dict)
    duration: float = 0.0

    def note(self, status: int, seconds: float) -> None:
        self.seconds.setdefault(status, []).append(seconds)

    @property
    def counts(self) -> Counter[int]:
        return Counter({status: len(seconds) for status, seconds in self.seconds.items()})

    @property
    def answered_per_second(self) -> float:
        return self.counts[200] / self.duration

    def percentile(self, percent: float) -> float:
        """Of the seconds of a request that was answered."""
        return float(np.percentile(self.seconds.get(200, [np.nan]), percent))


@dataclass(frozen=True)
class RunningServer:
    """A server process."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    def resident_bytes(self) -> int:
        found = [re.search(r"VmRSS:\s+(\d+) kB", text) for text in self._read("status")]
        return sum(1024 * int(kilobytes[1]) for kilobytes in found if kilobytes is not None)

    def cpu_seconds(self) -> float:
        """That the server has computed so far, whatever else the machine does."""
        fields = [text.rpartition(")")[2].split() for text in self._read("stat")]
        ticks = sum(int(user) + int(system) for *_, user, system in (row[:13] for row in fields))
        return ticks / os.sysconf("SC_CLK_TCK")

    def _read(self, name: str) -> list[str]:
        """A file of /proc, of the process and of those that it has started."""
        process = Path("/proc") / str(self.process.pid)
        started = (process / "task" / process.name / "children").read_text().split()
        return [(process.parent / pid / name).read_text() for pid in (process.name, *started)]

    def metric(self, name: str) -> float:
        with urlopen(f"http://127.0.0.1:{self.port}/metrics") as reply:
            text = reply.read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}{{.*}} (\S+)$", text, re.M))

    def answered(self) -> int:
        """How many transcriptions the server says that it has answered."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]
        return sum(line.get("status") == 200 and line.get("method") == "POST" for line in lines)


@contextmanager
def running_server(run: Path, *options: str) -> Iterator[RunningServer]:
    """Run a server for as long as the context lasts."""
    command = [sys.executable, "-m", "sorigeul", "serve", str(run), "--port", "0", *options]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise UserError(f"the server did not start: {log.read_text().strip()}")
            yield RunningServer(process, int(address.rpartition(":")[2]), log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def request_bytes(model: str, recording: bytes) -> bytes:
    """A whole request for the text of a recording."""
    body = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    ).encode()
    body += recording + f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """A connection that is kept open. Plain sockets, so that clients leave the server its cores."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the reply. Raises OSError if the connection breaks."""
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # the server closes what has been idle for a while, as HTTP lets it
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        try:
            writer.write(request)
            await writer.drain()
            status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = dict(line.lower().split(": ", 1) for line in lines if line)
            body = await reader.readexactly(int(headers["content-length"]))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConnectionError(str(error)) from None
        if headers.get("connection") == "close":
            self.close()
        return int(status_line.split()[1]), body, headers

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


async def put_load(
    port: int,
    requests: Sequence[bytes],
    clients: int,
    seconds: float = float("inf"),
    count: float = float("inf"),
) -> Load:
    """Clients that send requests, each after the reply to the one before, until it is enough.

    A client that is refused waits as long as it is told to.
    """
    load, begin, sent = Load(), time.monotonic(), 0
    stopped = False

    async def client(number: int) -> None:
        nonlocal sent, stopped
        connection = Connection(port)
        while not stopped and time.monotonic() - begin < seconds and sent < count:
            index = (number * 37 + sent) % len(requests)
            sent += 1
            start = time.monotonic()
            try:
                status, body, headers = await connection.send(requests[index])
            except OSError:
                load.note(0, time.monotonic() - start)
                stopped = True  # the server has ended
                continue
            load.note(status, time.monotonic() - start)
            if status == 200:
                load.texts.setdefault(str(index), set()).add(json.loads(body)["text"])
            elif "retry-after-ms" in headers:
                await asyncio.sleep(float(headers["retry-after-ms"]) / 1000)
        connection.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    load.duration = time.monotonic() - begin
    return load
