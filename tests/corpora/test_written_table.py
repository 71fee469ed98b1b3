"""A table that is written again and again, by calls of which some fail."""

from pathlib import Path

import pytest
from helpers.full_disk import limited_file_size

from sorigeul.base.errors import UserError
from sorigeul.corpora.written_table import WrittenTable


@pytest.fixture
def table(tmp_path: Path) -> WrittenTable:
    return WrittenTable(tmp_path / "table.tsv", tmp_path / ".memory")


def test_a_table_may_be_written_over_until_somebody_changes_it(table: WrittenTable) -> None:
    table.refuse_to_lose()
    assert table.content == ""
    for content in ("하나\n", "둘\n", "셋\n"):
        table.write(content)
        table.refuse_to_lose()
        assert table.content == content
    table.path.write_text("넷\n", encoding="utf-8")
    with pytest.raises(UserError, match="has been changed since it was written"):
        table.refuse_to_lose()
    table.path.unlink()
    table.refuse_to_lose()
    (table.path.parent / "train.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match="holds another corpus"):
        table.refuse_to_lose()


def test_a_table_that_could_not_be_replaced_is_still_known(table: WrittenTable) -> None:
    table.write("하나\n")
    for number in range(3):
        with limited_file_size(200), pytest.raises(OSError, match="File too large"):
            table.write(f"{number}\n" * 200)
        table.refuse_to_lose()
        assert table.content == "하나\n"
    table.write("둘\n")
    table.refuse_to_lose()


def test_a_damaged_memory_makes_the_table_count_as_changed(table: WrittenTable) -> None:
    table.write("하나\n")
    for path in table.memory.iterdir():
        path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="has been changed"):
        table.refuse_to_lose()
