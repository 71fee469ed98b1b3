"""Puts load on a server of our own, and says how it bears it.

    python benchmarks/serving.py runs/quickstart data/demo

Clients on this machine send the recordings of a corpus's test split, one after the other: first one
client alone, then many at once, which the server batches. Then the server is told to stop in the
middle. Prints a line of JSON for each figure.
"""

import argparse
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

from sorigeul.data.manifests import required_manifest

BOUNDARY = "sorigeul-benchmark"


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
                raise SystemExit(f"the server did not start: {log.read_text()}")
            yield RunningServer(process, int(address.rpartition(":")[2]), log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def request_bytes(model: str, recording: bytes) -> bytes:
    """A whole request for the text of a recording."""
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    ).encode()
    body += recording + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """A connection that is kept open. Plain sockets, so that clients leave the server its cores."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, request: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of the reply. Raises OSError if the connection breaks."""
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            self._writer.write(request)
            await self._writer.drain()
            status_line, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            headers = dict(line.lower().split(": ", 1) for line in lines if line)
            body = await self._reader.readexactly(int(headers["content-length"]))
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            raise ConnectionError(str(error)) from None
        if headers.get("connection") == "close":
            self.close()
        return int(status_line.split()[1]), body, headers

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None


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


def show(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit}), flush=True)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--requests", type=int, default=10_000, help="for the memory; 0: none")
    parser.add_argument("--options", default="", help="further options of `sorigeul serve`")
    arguments = parser.parse_args()
    cuts = list(required_manifest(arguments.corpus, "test"))[:300]
    recordings = [Path(cut.recording.sources[0].source).read_bytes() for cut in cuts]
    requests = [request_bytes(arguments.run.name, recording) for recording in recordings]
    show("cores", len(os.sched_getaffinity(0)), "cores")
    show("other load at the beginning", os.getloadavg()[0], "processes")
    with running_server(arguments.run, *arguments.options.split()) as server:
        measure(server, requests, arguments)
    with running_server(arguments.run, *arguments.options.split()) as server:
        stop_in_the_middle(server, requests, arguments)


def measure(
    server: RunningServer, requests: Sequence[bytes], arguments: argparse.Namespace
) -> None:
    """Throughput, latency and memory."""
    start = server.cpu_seconds()
    alone = asyncio.run(put_load(server.port, requests, 1, arguments.seconds / 4))
    alone_cpu = (server.cpu_seconds() - start) / alone.counts[200]
    show("one client", alone.answered_per_second, "requests/s")
    show("one client, median", alone.percentile(50), "s")
    segments, batches = "sorigeul_batch_segments_sum", "sorigeul_batch_segments_count"
    before, start = (server.metric(segments), server.metric(batches)), server.cpu_seconds()
    many = asyncio.run(put_load(server.port, requests, arguments.clients, arguments.seconds))
    after = server.metric(segments), server.metric(batches)
    many_cpu = (server.cpu_seconds() - start) / many.counts[200]
    show(f"{arguments.clients} clients", many.answered_per_second, "requests/s")
    show("batched against one at a time", many.answered_per_second / alone.answered_per_second, "")
    show("processor time for a request, one client", 1000 * alone_cpu, "ms")
    show(f"processor time for a request, {arguments.clients} clients", 1000 * many_cpu, "ms")
    for percent in (50, 95, 99):
        show(f"{arguments.clients} clients, p{percent}", many.percentile(percent), "s")
    show("mean batch", (after[0] - before[0]) / (after[1] - before[1]), "segments")
    for status, number in sorted(many.counts.items()):
        show(f"answers with status {status}", number, "requests")
    texts = [
        many.texts[index] | heard for index, heard in alone.texts.items() if index in many.texts
    ]
    show("recordings with more than one text", sum(len(heard) > 1 for heard in texts), "")
    if arguments.requests:
        begin = server.resident_bytes()
        load = asyncio.run(
            put_load(server.port, requests, arguments.clients, count=arguments.requests)
        )
        show("requests for the memory", load.counts[200], "requests")
        show("resident memory before", begin / 2**20, "MiB")
        show("resident memory after", server.resident_bytes() / 2**20, "MiB")


async def load_until_stopped(
    server: RunningServer, requests: Sequence[bytes], clients: int, seconds: float
) -> Load:
    """Load on a server that gets SIGTERM after some seconds, until it has ended."""
    load = asyncio.create_task(put_load(server.port, requests, clients))
    await asyncio.sleep(seconds)
    server.process.send_signal(signal.SIGTERM)
    return await load


def stop_in_the_middle(
    server: RunningServer, requests: Sequence[bytes], arguments: argparse.Namespace
) -> None:
    """SIGTERM under load: everything that the server has answered must have arrived."""
    load = asyncio.run(
        load_until_stopped(server, requests, arguments.clients, arguments.seconds / 6)
    )
    server.process.wait(60)
    show("answered before and after SIGTERM", load.counts[200], "requests")
    show("answers lost at SIGTERM", server.answered() - load.counts[200], "requests")
    show("refused after SIGTERM", load.counts[503], "requests")
    show("exit status", server.process.returncode, "")


if __name__ == "__main__":
    main()
