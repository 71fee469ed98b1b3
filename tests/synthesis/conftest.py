"""A synthesizer, and a text file of sentences to read aloud."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from helpers.trees import write_text

from sorigeul.synthesis.espeak import Synthesizer
from sorigeul.synthesis.sentences import sentence


@pytest.fixture(scope="session")
def synthesizer() -> Iterator[Synthesizer]:
    pytest.importorskip("espeakng_loader")
    with Synthesizer() as synthesizer:
        yield synthesizer


@pytest.fixture
def novel(tmp_path: Path) -> Path:
    """A text of 150 sentences, three a line; one in fifty cannot be read aloud."""
    sentences = [sentence(Random(number)) for number in range(150)]
    sentences[::50] = ["Hello 세계", "3번 출구", "안녕 ♥"]
    lines = [". ".join(sentences[start : start + 3]) + "." for start in range(0, 150, 3)]
    return write_text(tmp_path / "book.txt", "\n".join(lines))
