"""A language of four syllables that a small model learns in seconds.

A syllable is a tone over a hummed vowel, which a speech detector takes for a voice.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt
import soundfile

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.training.settings import Settings

HERTZ = {"가": 3300.0, "나": 4300.0, "다": 5500.0, "라": 7200.0}
SECONDS = 0.25  # of each syllable
_PITCH = 110.0  # Hz, of the voice
_FORMANTS = ((250.0, 80.0, 1.0), (2300.0, 100.0, 0.6), (2600.0, 150.0, 0.3))  # Hz, width, level

TINY = Settings().changed(
    {
        "n_mels": 16,
        "hidden_size": 16,
        "conv_channels": 4,
        "listener_layer_size": 2,
        "speller_layer_size": 1,
        "time_reduction": 8,
        "score_function": "location",
        "ctc_weight": 0.2,
        "dropout": 0.0,
        "batch_size": 8,
        "lr": 0.01,
        "teacher_forcing": 1.0,
        "label_smoothing": 0.0,
        "max_epochs": 3,
        "precision": "float32",  # the same on every processor, as far as may be
        # Copies without masks: one epoch reads the corpus 16 times.
        "augment_ratio": 15.0,
        "frequency_masks": 0,
        "time_masks": 0,
    },
    "TINY",
)
"""Settings with which the language is learned in three epochs of eighty small steps."""

STURDY = TINY.changed({"ctc_weight": 0.4, "guide_weight": 1.0, "max_epochs": 4}, "STURDY")
"""With these it is learned so well that no processor's way of rounding matters."""


def synthesize(text: str, seed: int = 0, rate: int = SAMPLE_RATE) -> npt.NDArray[np.float32]:
    """The syllables of a text (N,), with a little noise; any other character is silence."""
    time = np.arange(round(SECONDS * rate)) / rate
    silence = np.zeros(len(time))
    envelope = np.hanning(len(time))
    vowel = 0.1 * np.sqrt(envelope) * _vowel(time)
    syllables = [
        vowel + 0.06 * envelope * np.sin(2 * np.pi * HERTZ[char] * time)
        if char in HERTZ
        else silence
        for char in text
    ]
    noise = np.random.default_rng(seed).standard_normal(len(time) * len(text))
    return (np.concatenate(syllables) + 0.003 * noise).astype(np.float32)


def _vowel(time: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Something like an i: the harmonics of a falling and rising pitch, under three formants."""
    pitch = _PITCH * (1 + 0.1 * np.sin(4 * np.pi * time))
    phase = 2 * np.pi * np.cumsum(pitch) * (time[1] - time[0])
    harmonics = np.arange(1, int(2900 / _PITCH))  # the tones are higher
    levels = sum(
        level / (1 + ((harmonics * _PITCH - centre) / width) ** 2)
        for centre, width, level in _FORMANTS
    )
    return np.asarray(levels @ np.sin(np.outer(harmonics, phase)))


def texts(count: int, seed: int = 0) -> list[str]:
    """Random texts of two to six syllables."""
    random = Random(seed)
    return ["".join(random.choice("가나다라") for _ in range(2 + i % 5)) for i in range(count)]


def record(folder: Path, transcripts: Sequence[str], splits: Sequence[str]) -> Path:
    """Write a recording of each text, named u00.wav onwards, and a table; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "table.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("audio", "text", "speaker", "split"))
        for number, (text, split) in enumerate(zip(transcripts, splits, strict=True)):
            name = f"u{number:02}.wav"
            soundfile.write(folder / name, synthesize(text, number), SAMPLE_RATE)
            rows.writerow((name, text, f"s{number % 4}", split))
    return table


def manifests(folder: Path, transcripts: Sequence[str], splits: Sequence[str]) -> Path:
    """Record the texts under ``folder`` and prepare them; return the folder of manifests."""
    prepare(CORPORA["table"], record(folder / "audio", transcripts, splits), folder / "manifests")
    return folder / "manifests"
