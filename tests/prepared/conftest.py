"""A prepared corpus with known lengths, texts and sounds."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.prepared.corpus import PreparedCorpus
from sorigeul.sound.audio import SAMPLE_RATE

ROWS = [
    # (file, text, speaker, split, seconds)
    ("a.wav", "안녕하세요", "가", "train", 1.0),
    ("b.wav", "안녕하세요.", "가", "train", 2.0),
    ("c.wav", "커피 두 잔", "나", "train", 1.5),
    ("d.wav", "DSLR 3대", "나", "train", 1.5),
    ("e.wav", "안녕하세요", "다", "dev", 1.0),
    ("f.wav", "똠방각하", "라", "test", 3.0),
]


def sound(seconds: float, level: float = 0.3) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """A quarter of a second of faint noise before and after loud tones (N,).

    They are as loud as one tone of the peak `level`, and together seldom reach their own.
    """
    samples = 0.0003 * np.random.default_rng(0).standard_normal(round(seconds * SAMPLE_RATE))
    first, last = SAMPLE_RATE // 4, len(samples) - SAMPLE_RATE // 4
    tones = [np.sin(np.arange(last - first) / length) for length in (31, 20, 13, 7)]
    samples[first:last] += level / 2 * sum(tones)
    return samples


def write_corpus(folder: Path, rows: list[tuple[str, str, str, str, float]]) -> Path:
    """Write recordings and their table, and prepare it; return the folder of manifests."""
    (folder / "audio").mkdir(parents=True)
    for name, _, _, _, seconds in rows:
        soundfile.write(folder / "audio" / name, sound(seconds), SAMPLE_RATE)
    lines = ["audio,text,speaker,split", *(",".join(row[:4]) for row in rows)]
    table = folder / "audio" / "table.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    prepare(CORPORA["table"], table, folder / "data", PrepareOptions(punctuation="keep"))
    return folder / "data"


@pytest.fixture
def prepared_data(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "in", ROWS)


@pytest.fixture
def prepared(prepared_data: Path) -> PreparedCorpus:
    return PreparedCorpus(prepared_data)
