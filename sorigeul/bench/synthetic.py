"""Measures the package against yardsticks in the same run, on the same work.

A figure is a number, its unit, what it is compared with and the ratio to it (above 1: better). The
suites can be run alone; the report rewrites the tables of `BENCHMARKS.md` and draws its plots.
"""

import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sorigeul.base.files import write_text
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE

CHARACTERS_PER_SECOND = 6.8  # KsponSpeech's speakers


# Synthetic recordings.


def synthetic_speech(seconds: float, seed: int = 0) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """A hum and noise that come and go as syllables do (N,)."""
    draw = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    loudness = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * time)
    hum = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 9))
    return (0.05 * loudness * (hum + draw.standard_normal(len(time)))).astype(np.float32)


def synthetic_recordings(folder: Path, count: int, suffix: str = ".flac") -> list[Path]:
    """Files of 1 to 9 s, as long as Pansori's utterances are."""
    seconds = np.random.default_rng(7).gamma(4.0, 0.8, count).clip(1, 9)
    files = []
    for number, length in enumerate(seconds):
        files.append(folder / f"{number:04d}{suffix}")
        form = "RAW" if suffix == ".pcm" else None
        soundfile.write(
            files[-1], synthetic_speech(length, number), SAMPLE_RATE, "PCM_16", format=form
        )
    return files


def synthetic_corpus(out: Path, utterances: int, suffix: str = ".flac") -> None:
    """A prepared corpus of noise, with as much text as is spoken in its time."""
    draw = np.random.default_rng(3)
    sound = out / "audio"
    sound.mkdir(parents=True)
    lines = ["audio\ttext\tspeaker\tsplit"]
    for number, file in enumerate(synthetic_recordings(sound, utterances, suffix)):
        amount = max(1, round(audio.load(file).duration * CHARACTERS_PER_SECOND * 0.7))
        text = "".join(chr(0xAC00 + 28 * draw.integers(0, 399)) for _ in range(amount))
        lines.append(f"{file}\t{text}\ts{number % 10}\ttrain")
    table = out / "table.tsv"
    write_text(table, "\n".join(lines) + "\n")
    prepare(CORPORA["table"], table, out, PrepareOptions())


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what a training prints out of what a benchmark prints."""
    log = logging.getLogger("sorigeul")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        log.setLevel(level)
