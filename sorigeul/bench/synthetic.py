"""Synthetic recordings and corpora for benchmarks, with the lengths of real ones."""

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

CHARACTERS_PER_SECOND = 6.8
"""of the speakers of KsponSpeech"""


def synthetic_speech(seconds: float, seed: int = 0) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """A hum and noise whose loudness varies as that of syllables does (N,)."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    loudness = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * time)
    hum = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 9))
    return (0.05 * loudness * (hum + random.standard_normal(len(time)))).astype(np.float32)


def synthetic_recordings(folder: Path, count: int, suffix: str = ".flac") -> list[Path]:
    """Write files of 1 to 9 s, with the durations of Pansori's utterances; return their paths."""
    durations = np.random.default_rng(7).gamma(4.0, 0.8, count).clip(1, 9)
    paths = []
    for number, seconds in enumerate(durations):
        path = folder / f"{number:04d}{suffix}"
        samples = synthetic_speech(seconds, number)
        file_format = "RAW" if suffix == ".pcm" else None
        soundfile.write(path, samples, SAMPLE_RATE, "PCM_16", format=file_format)
        paths.append(path)
    return paths


def synthetic_corpus(out: Path, utterances: int, suffix: str = ".flac") -> None:
    """Write and prepare a corpus of noise, with as much text as is spoken in its time."""
    random = np.random.default_rng(3)
    recordings = out / "audio"
    recordings.mkdir(parents=True)
    lines = ["audio\ttext\tspeaker\tsplit"]
    for number, path in enumerate(synthetic_recordings(recordings, utterances, suffix)):
        count = max(1, round(audio.load(path).duration * CHARACTERS_PER_SECOND * 0.7))
        text = "".join(chr(0xAC00 + 28 * random.integers(0, 399)) for _ in range(count))
        lines.append(f"{path}\t{text}\ts{number % 10}\ttrain")
    table = out / "table.tsv"
    write_text(table, "\n".join(lines) + "\n")
    prepare(CORPORA["table"], table, out, PrepareOptions())
