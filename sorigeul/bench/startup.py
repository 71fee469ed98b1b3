"""Benchmark suite "startup": from the start of the process to a transcript, and to `--help`."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import soundfile

from sorigeul.bench.measurements import Measurement, Target
from sorigeul.bench.published_model import publish_untrained
from sorigeul.bench.synthetic import synthetic_speech
from sorigeul.bench.timing import fastest_seconds
from sorigeul.sound.audio import SAMPLE_RATE


def measure_startup() -> Iterator[Measurement]:
    """Measure both against the time that importing PyTorch alone takes."""
    command = [sys.executable, "-m", "sorigeul"]
    torch_seconds = fastest_seconds(_run([sys.executable, "-c", "import torch"]), 3)
    with tempfile.TemporaryDirectory() as folder:
        publish_untrained(Path(folder), "seed")
        recording = Path(folder, "five.flac")
        soundfile.write(recording, synthetic_speech(5), SAMPLE_RATE)
        transcribe_seconds = fastest_seconds(
            _run([*command, "transcribe", folder, str(recording)]), 3
        )
    help_seconds = fastest_seconds(_run([*command, "--help"]), 3)
    yardstick = f"python -c 'import torch': {torch_seconds:.2f} s"
    yield Measurement(
        name="transcribe, 5 s, process start to text",
        value=transcribe_seconds,
        unit="s",
        yardstick=yardstick,
        ratio=torch_seconds / transcribe_seconds,
        targets=(Target("value", "at most", 1.2, "imports"),),
    )
    yield Measurement(
        name="--help",
        value=help_seconds,
        unit="s",
        yardstick=yardstick,
        ratio=torch_seconds / help_seconds,
        targets=(Target("value", "at most", 0.3, "imports"),),
    )


def _run(command: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)
