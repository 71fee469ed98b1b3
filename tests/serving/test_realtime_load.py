"""Fifty live sockets at once, with a model of real size: they keep up, or are refused honestly.

Runs by itself, too, and prints figures: PYTHONPATH=tests python tests/serving/test_realtime_load.py
"""

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from helpers.paths import ROOT
from helpers.recordings import sound_file
from helpers.servers import Server, serving
from websockets.asyncio.client import connect

from sorigeul import Recognizer
from sorigeul.sound.audio import SAMPLE_RATE, load

QUICKSTART, DEMO = ROOT / "runs" / "quickstart", ROOT / "data" / "demo"
RATE = 24_000
CLIENTS, SECONDS = 50, 40
PIECE = RATE // 5  # samples that a client sends at a time

Pcm = npt.NDArray[np.int16]


@dataclass
class Heard:
    """What one client has got."""

    refusal: str = ""
    texts: list[str] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    """seconds from the end of each speech to its text"""
    provisional: int = 0
    unfinished: float = 0.0
    """seconds of sound without a final text when all of it had been sent"""


def streams(count: int) -> list[Pcm]:
    """Recordings of the demo corpus, one after the other with pauses, and a pause at the end."""
    lines = (DEMO / "test.jsonl").read_text(encoding="utf-8").splitlines()
    recordings = [json.loads(line)["recording"] for line in lines]
    paths = [recording["sources"][0]["source"] for recording in recordings]
    pause = np.zeros(SAMPLE_RATE, np.float32)
    made = []
    for number in range(count):
        parts: list[npt.NDArray[np.float32]] = []
        for path in np.roll(paths, -10 * number)[:15]:
            parts += [load(path).samples, pause]
        speech = np.concatenate(parts)[: (SECONDS - 4) * SAMPLE_RATE]
        whole = np.append(speech, np.zeros(4 * SAMPLE_RATE, np.float32))
        made.append(np.int16(np.clip(soxr.resample(whole, SAMPLE_RATE, RATE), -1, 1) * 32767))
    return made


async def talk(server: Server, pcm: Pcm, delay: float) -> Heard:
    """Send a stream as it would be spoken, and take what comes."""
    heard = Heard()
    await asyncio.sleep(delay)
    url = f"ws://127.0.0.1:{server.port}/v1/realtime?intent=transcription"
    async with connect(url, open_timeout=60) as socket:
        opening = json.loads(await socket.recv())
        if opening["type"] == "error":
            heard.refusal = opening["error"]["code"]
            return heard
        settings = {"type": "transcription", "provisional": True}
        await socket.send(json.dumps({"type": "session.update", "session": settings}))
        begin, until = time.monotonic(), 0.0

        async def take() -> None:
            nonlocal until
            async for message in socket:
                event: dict[str, Any] = json.loads(message)
                if event["type"] == "error":
                    assert event["error"]["code"] == "unsupported_event", event
                    return
                heard.provisional += event["type"] == "sorigeul.transcription.provisional"
                if event["type"].endswith(".completed"):
                    heard.texts.append(event["transcript"])
                    heard.lags.append(time.monotonic() - begin - event["end"])
                    until = event["end"]

        taking = asyncio.create_task(take())
        for first in range(0, len(pcm), PIECE):
            audio = base64.b64encode(pcm[first : first + PIECE].tobytes()).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            spoken = min(first + PIECE, len(pcm)) / RATE
            await asyncio.sleep(max(begin + spoken - time.monotonic(), 0))
        heard.unfinished = len(pcm) / RATE - until
        await socket.send('{"type": "input_audio_buffer.commit"}')
        await socket.send('{"type": "none"}')  # its answer is the last
        await taking
    return heard


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


async def talk_at_once(server: Server, spoken: list[Pcm]) -> list[Heard]:
    random = np.random.default_rng(0)  # people do not begin in the same instant
    pairs = zip(spoken, 4 * random.random(len(spoken)), strict=True)
    talks = [talk(server, pcm, delay) for pcm, delay in pairs]
    return await asyncio.gather(*talks)


@pytest.mark.prove
def test_fifty_live_sockets_keep_up_or_are_refused(tmp_path: Path) -> None:
    if not (QUICKSTART / "model.safetensors").is_file() or not DEMO.is_dir():
        pytest.skip("needs runs/quickstart and data/demo: make quickstart")
    spoken = streams(CLIENTS)
    with serving(tmp_path, QUICKSTART) as server:
        asyncio.run(talk(server, spoken[0], 0))  # after it the server knows how fast it is
        before = cpu_seconds(server.process.pid)
        begin = time.monotonic()
        heard = asyncio.run(talk_at_once(server, spoken))
        duration = time.monotonic() - begin
        busy = cpu_seconds(server.process.pid) - before
    served = [each for each in heard if not each.refusal]
    assert {each.refusal for each in heard} <= {"", "queue_full"}
    assert served
    lags = [lag for each in served for lag in each.lags]
    percentiles = np.percentile(lags, [50, 95, 100]).round(2).tolist()
    figures = {
        "served": len(served),
        "refused": len(heard) - len(served),
        "texts": len(lags),
        "seconds from the end of speech to its text, p50 p95 max": percentiles,
        "provisional texts a client and minute": round(
            60 * sum(each.provisional for each in served) / len(served) / SECONDS, 1
        ),
        "processor seconds a second": round(busy / duration, 2),
    }
    print(json.dumps(figures), file=sys.stderr, flush=True)
    recognizer = Recognizer.from_pretrained(QUICKSTART, "cpu")
    for each, pcm in list(zip(heard, spoken, strict=True))[:5]:
        if not each.refusal:
            expected = recognizer.transcribe(sound_file(pcm, rate=RATE))
            assert " ".join(filter(None, each.texts)) == expected.text
    assert max(each.unfinished for each in served) < 15


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        test_fifty_live_sockets_keep_up_or_are_refused(Path(folder))
