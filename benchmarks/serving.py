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
import signal
from collections.abc import Sequence
from pathlib import Path

from sorigeul.bench.serving import Load, RunningServer, put_load, request_bytes, running_server
from sorigeul.data.manifests import required_manifest


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
