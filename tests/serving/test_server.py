"""Tests of the server as a process: how it starts, stops, and shares work among processes."""

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import openai
import pytest
from helpers.processes import Forked, children, has_ended, wait_until
from helpers.servers import Server, serving

from sorigeul import Recognizer
from sorigeul.serving import server


@pytest.fixture
def draining(run: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that may be stopped, with `drain_seconds` as the test says."""
    with serving(tmp_path, run, "--drain_seconds", str(request.param), "--queue", "2") as running:
        yield running


def begun_stream(server: Server, recording: bytes) -> tuple[openai.Stream, str]:
    """A stream whose first text has come, and that text."""
    stream = server.client().audio.transcriptions.create(file=recording, model="tiny", stream=True)
    return stream, next(iter(stream)).delta


@pytest.mark.parametrize("draining", [100], indirect=True)
def test_a_server_that_is_told_to_stop_does_what_it_has_accepted_and_nothing_more(
    draining: Server, recognizer: Recognizer, long_wav: bytes, wav: bytes
) -> None:
    stream, text = begun_stream(draining, long_wav)
    draining.process.kill(signal.SIGTERM)
    assert wait_until(lambda: draining.get("/readyz").status_code == 503)
    assert draining.get("/readyz").json() == {"status": "shutting down"}
    assert draining.get("/healthz").status_code == 200
    with pytest.raises(openai.InternalServerError) as refused:
        draining.client().audio.transcriptions.create(file=wav, model="tiny")
    assert refused.value.status_code == 503
    assert refused.value.code == "shutting_down"
    assert int(refused.value.response.headers["retry-after"]) > 0
    *deltas, done = stream
    assert done.text == text + "".join(event.delta for event in deltas)
    assert done.text == recognizer.transcribe(long_wav).text
    ended = draining.process.done()
    assert ended.status == 0
    assert "Traceback" not in ended.err
    with pytest.raises(httpx.ConnectError):
        draining.get("/healthz")


@pytest.mark.parametrize("draining", [3], indirect=True)
def test_who_cannot_be_answered_in_time_is_told_so(draining: Server, long_wav: bytes) -> None:
    stream, _ = begun_stream(draining, long_wav)
    draining.process.kill(signal.SIGTERM)
    with pytest.raises(openai.APIError, match="shutting down"):
        list(stream)
    assert draining.process.done().status == 0


@pytest.mark.parametrize("draining", [30], indirect=True)
def test_a_server_without_requests_stops_at_once(draining: Server) -> None:
    draining.process.kill(signal.SIGTERM)
    ended = draining.process.done()
    assert ended.status == 0
    assert ended.out.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("draining", [30], indirect=True)
def test_who_finds_no_place_is_told_when_to_come_again(
    draining: Server, recognizer: Recognizer, long_wav: bytes, wav: bytes
) -> None:
    streams = [begun_stream(draining, long_wav)[0] for _ in range(2)]
    assert draining.get("/readyz").json() == {"status": "queue full"}
    with pytest.raises(openai.RateLimitError) as refused:
        draining.client().audio.transcriptions.create(file=wav, model="tiny")
    headers = refused.value.response.headers
    assert refused.value.code == "queue_full"
    assert 0 < int(headers["retry-after-ms"]) <= 120_000
    assert 0 <= 1000 * int(headers["retry-after"]) - int(headers["retry-after-ms"]) < 1000
    for stream in streams:
        stream.close()
    patient = draining.client(max_retries=10)
    text = patient.audio.transcriptions.create(file=wav, model="tiny").text
    assert text == recognizer.transcribe(wav).text
    assert draining.get("/readyz").status_code == 200


def test_a_port_that_is_taken_is_a_users_mistake(run: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = Forked(tmp_path, "serve", run, "--port", str(port)).done()
    assert ended.status == 2
    assert ended.error().startswith(f"127.0.0.1:{port} cannot be listened on (")


def test_two_models_of_one_name_are_refused(run: Path, tmp_path: Path) -> None:
    ended = Forked(tmp_path, "serve", run, run, "--port", "0").done()
    assert ended.status == 2
    assert "two models have the name tiny" in ended.error()


def test_a_server_that_everybody_can_reach_without_a_key_warns(run: Path, tmp_path: Path) -> None:
    with serving(tmp_path, run, "--host", "0.0.0.0") as server:
        assert server.url.startswith("http://0.0.0.0:")
        assert "warning: everybody who can reach 0.0.0.0" in server.process.outputs[1].read_text()


@pytest.mark.prove
def test_several_processes_share_the_work_and_their_metrics(
    run: Path, tmp_path: Path, wav: bytes
) -> None:
    with serving(tmp_path, run, "--workers", "2") as server:
        workers = workers_of(server.process)
        assert len(workers) == 2
        count = 30
        for _ in range(count):
            server.client().audio.transcriptions.create(file=wav, model="tiny")
        for _ in range(5):
            counted = server.metric(
                "sorigeul_requests_total", route="/v1/audio/transcriptions", status="200"
            )
            assert counted == count
        os.kill(workers[0], signal.SIGKILL)
        assert wait_until(lambda: has_ended(workers[0]))
        errors = server.process.outputs[1]
        assert wait_until(lambda: "a server process has died" in errors.read_text())
        text = server.client(max_retries=5).audio.transcriptions.create(file=wav, model="tiny").text
        assert text
        server.process.kill(signal.SIGTERM)
        assert server.process.done().status == 0
    assert all(has_ended(pid) for pid in workers)


@pytest.mark.prove
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="there is one core to share")
def test_server_processes_share_the_threads(run: Path, tmp_path: Path) -> None:
    with serving(tmp_path, run, "--threads", "2", "--workers", "2") as server:
        workers = workers_of(server.process)
        assert len(workers) == 2
        for pid in workers:
            assert b"OMP_NUM_THREADS=1" in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


@pytest.mark.prove
def test_a_worker_that_ends_before_all_answer_is_an_error_with_a_remedy(
    run: Path, tmp_path: Path
) -> None:
    process = Forked(tmp_path, "serve", run, "--port", "0", "--workers", "2")
    assert process.wait_until(lambda: len(workers_of(process)) == 2)
    workers = workers_of(process)
    os.kill(workers[1], signal.SIGKILL)  # as the system does if the memory is full
    ended = process.done()
    assert (ended.status, ended.out) == (2, "")
    assert "ended by signal 9 before all 2 answered" in ended.error()
    assert "give fewer --workers" in ended.error()
    assert all(has_ended(pid) for pid in workers)


@pytest.mark.prove
def test_what_is_wrong_with_a_model_is_said_once(run: Path, tmp_path: Path) -> None:
    model = shutil.copytree(run, tmp_path / "tiny")
    (model / "model.safetensors").write_bytes(b"damaged")
    ended = Forked(tmp_path, "serve", model, "--port", "0", "--workers", "3").done()
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert str(model) in ended.error()


@pytest.mark.prove
@pytest.mark.parametrize("count", [1, 2])
def test_an_interrupt_while_processes_begin_ends_all_with_a_word(
    run: Path, tmp_path: Path, count: int
) -> None:
    process = Forked(tmp_path, "serve", run, "--port", "0", "--workers", "2")
    assert process.wait_until(lambda: len(workers_of(process)) == count)
    workers = workers_of(process)
    process.kill_group(signal.SIGINT)  # as a terminal does
    ended = process.done()
    assert (ended.status, ended.out) == (130, "")
    assert ended.error() == "interrupted"
    assert all(has_ended(pid) for pid in workers)


@pytest.mark.prove
def test_processes_end_with_the_one_that_started_them(run: Path, tmp_path: Path) -> None:
    with serving(tmp_path, run, "--workers", "2") as server:
        workers = workers_of(server.process)
        server.process.kill(signal.SIGKILL)
        assert server.process.done().status == -signal.SIGKILL
        assert wait_until(lambda: all(has_ended(pid) for pid in workers))


@pytest.mark.prove
def test_a_second_request_to_stop_ends_all_processes(run: Path, tmp_path: Path) -> None:
    with (
        serving(tmp_path, run, "--workers", "2", "--drain_seconds", "100") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=100) as unfinished,
    ):
        workers = workers_of(server.process)
        form = "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000"
        request = f"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n{form}\r\n"
        unfinished.sendall(f"{request}Expect: 100-continue\r\n\r\n".encode())
        assert unfinished.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        server.process.kill(signal.SIGTERM)
        time.sleep(1.5)  # sooner, it counts as an echo of the first
        server.process.kill(signal.SIGTERM)
        assert server.process.done().status == -signal.SIGTERM
        assert wait_until(lambda: all(has_ended(pid) for pid in workers))


@pytest.mark.prove
def test_a_worker_that_cannot_be_replaced_stops_no_other_and_is_tried_again(
    run: Path, tmp_path: Path, wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_RETRY_SECONDS", 1.0)
    model = shutil.copytree(run, tmp_path / "tiny")
    with serving(tmp_path, model, "--workers", "2") as running:
        dying, healthy = workers_of(running.process)
        model.rename(tmp_path / "away")
        os.kill(dying, signal.SIGKILL)
        errors = running.process.outputs[1]
        assert wait_until(lambda: errors.read_text().count("trying again in 1 s") == 2)
        assert running.client().audio.transcriptions.create(file=wav, model="tiny").text
        (tmp_path / "away").rename(model)
        os.kill(healthy, signal.SIGKILL)
        patient = running.client(max_retries=10)
        assert patient.audio.transcriptions.create(file=wav, model="tiny").text
        running.process.kill(signal.SIGTERM)
        assert running.process.done().status == 0


def workers_of(process: Forked) -> list[int]:
    return [pid for pid in children(process.pid) if "spawn_main" in command_line(pid)]


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
