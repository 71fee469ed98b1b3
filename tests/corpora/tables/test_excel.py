"""Excel files: read as they are typed, or refused where Excel has changed what was typed."""

import datetime
import sys
from pathlib import Path

import openpyxl
import pytest

from sorigeul.base.errors import UserError
from sorigeul.corpora.tables.columns import Row, Values
from sorigeul.corpora.tables.excel import read_rows


def write_sheet(path: Path, rows: list[list[object]]) -> Path:
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(row)
    workbook.create_sheet("둘째").append(["not", "read"])
    workbook.save(path)
    return path


def test_the_rows_of_the_first_sheet_are_read(tmp_path: Path) -> None:
    rows = [[], ["파일", "전사", "화자"], ["a.wav", "가, 나", 3], [], ["b.wav", '"다"']]
    path = write_sheet(tmp_path / "t.xlsx", rows)
    assert list(read_rows(path, "t.xlsx")) == [
        Row(3, Values("a.wav", "가, 나", 3, None)),
        Row(5, Values("b.wav", '"다"', None, None)),
    ]


def test_a_text_that_excel_has_made_a_number_or_a_date_is_refused(tmp_path: Path) -> None:
    rows = [["audio", "text"], ["a.wav", 0.7], ["b.wav", datetime.datetime(2026, 10, 6)]]
    number, date = read_rows(write_sheet(tmp_path / "t.xlsx", rows), "t.xlsx")
    assert str(number.content).startswith("the text is the number 0.7 to Excel, which may have")
    assert "the date 2026-10-06" in str(date.content)


def test_a_file_that_is_none_or_has_no_columns_is_refused(tmp_path: Path) -> None:
    whole = write_sheet(tmp_path / "t.xlsx", [["audio", "words"], ["a.wav", "가"]])
    with pytest.raises(UserError, match=r"no column text; .* and has audio, words"):
        list(read_rows(whole, "t.xlsx"))
    data = whole.read_bytes()
    for damaged in (b"", b"audio,text\n", data[: len(data) // 2]):
        (tmp_path / "damaged.xlsx").write_bytes(damaged)
        with pytest.raises(UserError, match=r"d\.xlsx: not a readable Excel file \(.*save it as"):
            list(read_rows(tmp_path / "damaged.xlsx", "d.xlsx"))
    with pytest.raises(UserError, match="no column audio"):
        list(read_rows(write_sheet(tmp_path / "empty.xlsx", []), "empty.xlsx"))


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(UserError, match=r"pip install 'sorigeul\[excel\]'"):
        list(read_rows(tmp_path / "t.xlsx", "t.xlsx"))
