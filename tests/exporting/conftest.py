"""Fixtures of the tests of exporting."""

from pathlib import Path

import numpy as np
import pytest

from sorigeul.exporting.export import ExportOptions, export
from sorigeul.lm.ngram import NgramOptions, train_ngram
from sorigeul.lm.text_data import TextData
from sorigeul.pretrained.description import describe_pretrained


@pytest.fixture(scope="session")
def language_model(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An n-gram model with the characters of `run`."""
    vocabulary = describe_pretrained(run).vocabulary
    folder = tmp_path_factory.mktemp("language model") / "trigrams"
    line = [*vocabulary.encode("가나다라"), *vocabulary.encode("다라가"), *vocabulary.encode("나")]
    ids = np.array([[*line, vocabulary.eos_id]] * 20, np.uint16).ravel()
    text = TextData(vocabulary, ids, ids[:0], {"normalizer": "plain/1"})
    train_ngram(text, NgramOptions(order=3)).save(folder)
    return folder


@pytest.fixture(scope="session")
def exported(run: Path, audio_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of `run`. Do not change it."""
    folder = tmp_path_factory.mktemp("export") / "exported"
    export(str(run), folder, ExportOptions(recordings=audio_files[:4]))
    return folder


@pytest.fixture(scope="session")
def audio_files(corpus: Path) -> list[Path]:
    """The recordings of `corpus`."""
    return sorted((corpus.parent / "audio").glob("*.wav"))
