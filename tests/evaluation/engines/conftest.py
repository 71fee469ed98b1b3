"""Fixtures of the tests of engines."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers import tones

from sorigeul.data import manifests
from sorigeul.evaluation.engines.engine import Utterance


def read_utterances(folder: Path, split: str = "test") -> list[Utterance]:
    return [Utterance(cut) for cut in manifests.required_manifest(folder, split)]


@pytest.fixture
def utterances(corpus: Path) -> Sequence[Utterance]:
    """Forty utterances of `corpus`."""
    return read_utterances(corpus, "train")


@pytest.fixture
def with_unreadable(tmp_path: Path) -> Sequence[Utterance]:
    """Four utterances, of which the second cannot be read."""
    folder = tones.manifests(tmp_path, tones.texts(4), ["test"] * 4)
    (tmp_path / "audio" / "u01.wav").write_bytes(b"not a recording" * 10)
    return read_utterances(folder)
