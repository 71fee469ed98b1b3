"""Fixtures of the tests of the server: processes that run, and recordings for them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import tones
from helpers.recordings import sound_file
from helpers.servers import Server, serving

from sorigeul import Recognizer
from sorigeul.sound.audio import SAMPLE_RATE, Samples

LONG_SECONDS = 240
"""of the long recording: some seconds of work even for the tiny model"""


@pytest.fixture(scope="session")
def server(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of two models, `tiny` and `second`. Do not stop it."""
    folder = tmp_path_factory.mktemp("server")
    second = shutil.copytree(run, folder / "second")
    with serving(folder, run, second) as running:
        yield running


@pytest.fixture(scope="session")
def recognizer(run: Path) -> Recognizer:
    """What the server should answer. Do not change its settings."""
    return Recognizer.from_pretrained(run, "cpu")


@pytest.fixture(scope="session")
def sentence() -> Samples:
    """Some syllables and pauses, several segments long."""
    silence = np.zeros(SAMPLE_RATE, np.float32)
    spoken = [
        tones.synthesize(text)
        for text in ("가나다라나가", "라다나가다라", "나가나다라다", "다라가나다가")
    ]
    return np.concatenate([part for samples in spoken for part in (samples, silence)])


@pytest.fixture(scope="session")
def wav(sentence: Samples) -> bytes:
    """The file of `sentence`."""
    return sound_file(sentence)


@pytest.fixture(scope="session")
def long_wav(sentence: Samples) -> bytes:
    """A recording of `LONG_SECONDS`, of many segments."""
    return sound_file(np.resize(sentence, LONG_SECONDS * SAMPLE_RATE))
