"""Measures the package against yardsticks in the same run, on the same work.

A figure is a number, its unit, what it is compared with and the ratio to it (above 1: better). The
suites can be run alone; the report rewrites the tables of `BENCHMARKS.md` and draws its plots.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import soundfile

from sorigeul.bench.measurements import Measurement, Target
from sorigeul.bench.synthetic import synthetic_speech
from sorigeul.bench.yardsticks import (
    fastest_seconds,
)
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell
from sorigeul.pretrained.loading import PretrainedModel
from sorigeul.pretrained.publishing import publish
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.sound.features import FeatureConfig
from sorigeul.text.vocabulary import Vocabulary

# Start-up.


def measure_startup() -> Iterator[Measurement]:
    """Process start to text, and to help, against importing PyTorch alone."""
    command = [sys.executable, "-m", "sorigeul"]
    torch_alone = fastest_seconds(_runs([sys.executable, "-c", "import torch"]), 3)
    with tempfile.TemporaryDirectory() as folder:
        units = [chr(0xAC00 + number) for number in range(2000)]
        vocabulary = Vocabulary.from_texts(units, "syllable", 1)
        model = ListenAttendSpell(LASConfig.seed(80, len(vocabulary)))
        pretrained = PretrainedModel(model, FeatureConfig(), vocabulary, "plain/1", {})
        publish(Path(folder), pretrained)
        recording = Path(folder, "five.flac")
        soundfile.write(recording, synthetic_speech(5), SAMPLE_RATE)
        text = fastest_seconds(_runs([*command, "transcribe", folder, str(recording)]), 3)
    help_ = fastest_seconds(_runs([*command, "--help"]), 3)
    yardstick = f"python -c 'import torch': {torch_alone:.2f} s"
    yield Measurement(
        "transcribe, 5 s, process start to text",
        text,
        "s",
        yardstick,
        torch_alone / text,
        (Target("value", "at most", 3, "imports"),),
    )
    yield Measurement(
        "--help",
        help_,
        "s",
        yardstick,
        torch_alone / help_,
        (Target("value", "at most", 0.3, "imports"),),
    )


def _runs(command: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)
