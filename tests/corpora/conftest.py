"""A corpus of several hundred recordings, and what `prepare` makes of it."""

from pathlib import Path

import pytest
from helpers.trees import file_contents, write_speakers

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare


@pytest.fixture(scope="session")
def large_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 400 utterances of 40 speakers, one in twenty unusable. Do not change it."""
    table = write_speakers(tmp_path_factory.mktemp("large"), speakers=40, utterances=10)
    for speaker in range(0, 40, 4):
        (table.parent / f"{speaker}-3.wav").write_bytes(b"RIFF" + bytes(speaker))
        (table.parent / f"{speaker}-7.wav").unlink()
    return table


@pytest.fixture(scope="session")
def expected_files(large_table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that one process writes for `large_table` without interruption."""
    out = tmp_path_factory.mktemp("expected")
    report = prepare(CORPORA["table"], large_table, out)
    assert report.total["utterances"] == 380
    assert len(report.rejected) == 20
    return file_contents(out)
