"""Tables of pieces that were cut out of recordings."""

from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.corpora.cut_corpus import CutCorpus

HEADER = ("audio", "text", "recording")
ROWS = [
    (True, ("audio/a.flac/1.flac", "가", "a.flac")),
    (True, ("audio/a.flac/2.flac", "나", "a.flac")),
]


def test_a_table_that_could_not_be_replaced_is_no_table_changed_by_hand(tmp_path: Path) -> None:
    files = CutCorpus(tmp_path, "labels.tsv", "heard.tsv", "plot.png", ".labels", HEADER)
    table = tmp_path / "labels.tsv"
    files.write_tables(ROWS)
    before = table.read_bytes()
    files.write_tables(ROWS[:1])
    table.write_bytes(before)  # as a full disk leaves it
    files.refuse_unusable_places([], ["a.flac"], overwrite=False)
    files.write_tables(ROWS[:1])
    files.refuse_unusable_places([], ["a.flac"], overwrite=False)
    table.write_bytes(before.replace("가".encode(), "다".encode()))
    with pytest.raises(UserError, match="has been changed since it was written"):
        files.refuse_unusable_places([], ["a.flac"], overwrite=False)
