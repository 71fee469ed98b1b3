"""One long recording against its utterances one by one: text, times, memory.

    python benchmarks/long_recording.py runs/quickstart data/demo --split train --work WORK

Joins the utterances of a split, in an order drawn by a seed, with pauses, into one file as cameras
write them (48 kHz, stereo, m4a), has `sorigeul transcribe` make subtitles of it in a process of its
own, and looks where the subtitles that begin with an utterance begin. Prints a line of JSON.
Options of `transcribe` and `evaluate` follow after `--`. With the same arguments, what is in the
folder of `--work` already is not made again; with others it is refused.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import av
import numpy as np
import numpy.typing as npt
import soxr
from rapidfuzz.distance import Levenshtein

from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.data.manifests import required_manifest, transcript

RATE = 48_000
PAUSE = 0.3, 1.5
"""seconds, evenly drawn"""
NOISE = 10 ** (-70 / 20)
"""root mean square of the sound in pauses"""
SPEECH = 20.0
"""dB below its loudest frame of 10 ms: where an utterance begins to be heard"""
PLACES = 10


@dataclass(frozen=True)
class Utterance:
    """A part of the long recording."""

    text: str
    heard: float
    """seconds from the beginning of the recording to where its speech can be heard"""


def main() -> None:
    """Join, transcribe, compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--repeat", type=int, default=1, help="how often each utterance is said")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    words = sys.argv[1:]
    before = words.index("--") if "--" in words else len(words)
    arguments = parser.parse_args(words[:before])
    arguments.options = words[before + 1 :]
    if arguments.repeat < 1:
        parser.error("--repeat must be at least 1")
    if not arguments.run.is_dir():
        parser.error(f"{arguments.run}: no such run folder, or export")
    work: Path = arguments.work
    _begin(work, {name: str(value) for name, value in vars(arguments).items() if name != "work"})
    utterances = _joined(arguments, work)
    took = _transcribed(arguments, work)
    expected = " ".join(utterance.text for utterance in utterances)
    cues = _cues(work / "long.m4a.srt")
    found = " ".join(text for _, text in cues)
    beginnings = _beginnings(utterances, cues)
    errors = np.array([abs(late) for _, late in beginnings])
    places = beginnings[:: max(1, len(beginnings) // PLACES)][:PLACES]
    figures = {
        **took,
        **_rates("joined", expected, found),
        **_one_by_one(arguments, work),
        "subtitles": len(cues),
        "subtitles that begin with an utterance": len(errors),
        "seconds off": {
            "median": round(float(np.median(errors)), 3),
            "p95": round(float(np.percentile(errors, 95)), 3),
            "within 0.2": round(float((errors <= 0.2).mean()), 3),
        },
        "places": [{"at": round(at, 1), "late": round(late, 3)} for at, late in places],
    }
    print(json.dumps(figures, ensure_ascii=False))


def _begin(work: Path, arguments: dict[str, str]) -> None:
    """Make the folder, or find it begun with the same arguments."""
    record = work / "arguments.json"
    work.mkdir(parents=True, exist_ok=True)
    begun = json.loads(record.read_bytes()) if record.exists() else None
    if any(work.iterdir()) and begun != arguments:
        raise SystemExit(f"error: {work} is of other arguments: choose another --work")
    write_text(record, json.dumps(arguments))


def _joined(arguments: argparse.Namespace, work: Path) -> list[Utterance]:
    """The utterances in `long.m4a` in their order, which is written if it is not there."""
    sound, record = work / "long.m4a", work / "utterances.json"
    if record.exists():
        return [Utterance(*entry) for entry in json.loads(record.read_bytes())]
    cuts = list(required_manifest(arguments.data, arguments.split))
    random = Random(arguments.seed)
    noise = np.random.default_rng(arguments.seed)
    said: list[Utterance] = []

    def parts() -> Iterator[npt.NDArray[np.float32]]:
        seconds = 0.0
        for _ in range(arguments.repeat):
            for cut in random.sample(cuts, len(cuts)):
                pause = int(random.uniform(*PAUSE) * RATE)
                yield (NOISE * noise.standard_normal(pause)).astype(np.float32)
                samples = soxr.resample(cut.load_audio().mean(axis=0), cut.sampling_rate, RATE)
                seconds += pause / RATE
                said.append(Utterance(transcript(cut), seconds + _onset(samples)))
                yield samples.astype(np.float32)
                seconds += len(samples) / RATE

    _write(sound, parts())
    write_text(record, json.dumps([[one.text, one.heard] for one in said], ensure_ascii=False))
    return said


def _onset(samples: npt.NDArray[np.float32]) -> float:
    """Seconds to the first frame of 10 ms that is nearly as loud as the loudest."""
    frames = samples[: len(samples) // (RATE // 100) * (RATE // 100)].reshape(-1, RATE // 100)
    levels = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    return float(np.argmax(levels > levels.max() - SPEECH)) / 100


def _write(path: Path, parts: Iterator[npt.NDArray[np.float32]]) -> None:
    """Encode samples of one channel as stereo AAC."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=128_000)
        position = 0
        for part in parts:
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(np.stack((part, part))), "fltp", "stereo"
            )
            frame.sample_rate, frame.pts = RATE, position
            position += len(part)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _transcribed(arguments: argparse.Namespace, work: Path) -> dict[str, float]:
    """Make `long.m4a.srt`; what it took."""
    record = work / "transcribed.json"
    if not record.exists():
        words = ["transcribe", str(arguments.run), "--format", "srt", "--out", str(work)]
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "sorigeul", *words, *arguments.options, str(work / "long.m4a")]
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit("transcribe failed")
        took = {
            "hours": round(_hours(work / "long.m4a"), 2),
            "minutes": round((time.monotonic() - started) / 60, 1),
            "processor minutes": round((usage.ru_utime + usage.ru_stime) / 60, 1),
            "MiB resident": round(usage.ru_maxrss / 1024),
        }
        write_text(record, json.dumps(took))
    took = json.loads(record.read_bytes())
    return dict(took)


def _hours(path: Path) -> float:
    with av.open(str(path)) as container:
        return (container.duration or 0) / av.time_base / 3600


def _cues(path: Path) -> list[tuple[float, str]]:
    """When each subtitle appears, in seconds, and its text."""
    cues = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        _, times, *lines = block.splitlines()
        hours, minutes, seconds = times.split(" --> ")[0].replace(",", ".").split(":")
        cues.append((int(hours) * 3600 + int(minutes) * 60 + float(seconds), " ".join(lines)))
    return cues


def _beginnings(
    utterances: Sequence[Utterance], cues: Sequence[tuple[float, str]]
) -> list[tuple[float, float]]:
    """Where the first word of a subtitle is that of an utterance, by alignment of all words.

    Seconds into the recording, and by how many the subtitle is late.
    """
    said = [word for utterance in utterances for word in utterance.text.split()]
    shown = [word for _, text in cues for word in text.split()]
    heard = _at_first_words((one.heard, one.text) for one in utterances)
    appears = _at_first_words(cues)
    return [
        (heard[block.src_start + i], appears[block.dest_start + i] - heard[block.src_start + i])
        for block in Levenshtein.opcodes(said, shown)
        if block.tag == "equal"
        for i in range(block.src_end - block.src_start)
        if block.src_start + i in heard and block.dest_start + i in appears
    ]


def _at_first_words(
    parts: Iterator[tuple[float, str]] | Sequence[tuple[float, str]],
) -> dict[int, float]:
    """The time of each part by the number of its first word."""
    times: dict[int, float] = {}
    count = 0
    for seconds, text in parts:
        times[count] = seconds
        count += len(text.split())
    return times


def _one_by_one(arguments: argparse.Namespace, work: Path) -> dict[str, float]:
    """The rates of `sorigeul evaluate`."""
    record, partial = work / "one-by-one.json", work / "partial.json"
    if not record.exists():
        words = ["evaluate", str(arguments.run), str(arguments.data), "--split", arguments.split]
        subprocess.run(
            [
                *(sys.executable, "-m", "sorigeul", *words),
                *("--json", str(partial), *arguments.options),
            ],
            check=True,
        )
        partial.replace(record)  # only if all recordings could be read
    rates = json.loads(record.read_bytes())
    return {f"{name}, one by one": round(rates[name], 2) for name in ("crr", "cer", "wer")}


def _rates(name: str, expected: str, found: str) -> dict[str, float]:
    """CRR, CER and WER of a text as one, in %."""
    pairs = {
        "crr": ("".join(expected.split()), "".join(found.split())),
        "cer": (expected, found),
        "wer": (expected.split(), found.split()),
    }
    rates = {
        rate: 100 * Levenshtein.distance(said, shown) / len(said)
        for rate, (said, shown) in pairs.items()
    }
    rates["crr"] = 100 - rates["crr"]
    return {f"{rate}, {name}": round(value, 2) for rate, value in rates.items()}


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
