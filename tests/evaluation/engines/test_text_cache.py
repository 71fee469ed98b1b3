"""Cache of texts: whole lines count, others do not, and two processes do not write one file."""

from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.evaluation.engines.engine import Recognized
from sorigeul.evaluation.engines.text_cache import TextCache
from sorigeul.evaluation.transcript_files import read_transcripts

TEXTS = [
    Recognized("u0", "나는 간다", 0.5),
    Recognized("u1", "", 0.25),
    Recognized("u2", "두\n줄\t과 \u2028", None),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a cache with `TEXTS`."""
    file = tmp_path / "new" / "texts.jsonl"
    with TextCache(file) as cache:
        for one in TEXTS:
            cache.add(one)
    return file


def read(path: Path) -> list[Recognized]:
    with TextCache(path) as cache:
        return list(cache.texts.values())


def test_what_was_added_is_read_again(path: Path) -> None:
    assert read(path) == TEXTS
    assert read(path) == TEXTS


def test_the_file_is_one_of_texts(path: Path) -> None:
    assert read_transcripts(path).texts == {one.id: one.text for one in TEXTS}


def test_a_line_that_was_cut_off_does_not_count_and_goes(path: Path) -> None:
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        whole = content[:length].count(b"\n")
        with TextCache(path) as cache:
            assert list(cache.texts.values()) == TEXTS[:whole]
            for one in TEXTS[whole:]:
                cache.add(one)
        assert path.read_bytes() == content


def test_nothing_counts_from_a_damaged_line_on(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (b"\0" * 20 + b"\n", b'{"id": "u1"}\n', b"[]\n"):
        path.write_bytes(lines[0] + damaged + lines[2])
        assert read(path) == TEXTS[:1]
        assert path.read_bytes() == lines[0]


def test_two_at_once_are_refused(path: Path) -> None:
    with (
        TextCache(path),
        pytest.raises(UserError, match="is being written by process"),
        TextCache(path),
    ):
        pass
    assert read(path) == TEXTS
