"""Excel files (.xlsx): the first sheet, whose first row that is not empty is the header."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from sorigeul.base.errors import UserError
from sorigeul.corpora.tables.columns import Columns, Row, Values

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    EOFError,
    OSError,
    RuntimeError,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
)


def read_rows(path: Path, table: str) -> Iterator[Row]:
    """Yield the rows of the first sheet. ``table`` is what messages call it.

    Raises UserError if openpyxl is missing, the file cannot be read or the header lacks columns.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise UserError(
            f"{table}: Excel files need another library: pip install 'sorigeul[excel]'"
        ) from error
    columns: Columns | None = None
    try:
        with (
            path.open("rb") as file,
            closing(openpyxl.load_workbook(file, read_only=True, data_only=True)) as workbook,
        ):
            rows = workbook.worksheets[0].iter_rows(values_only=True)
            for number, cells in enumerate(rows, 1):
                if all(cell is None for cell in cells):
                    continue
                if columns is None:
                    names = ["" if cell is None else str(cell).strip() for cell in cells]
                    columns = Columns(names, table)
                    continue
                padding = [None] * (len(columns.names) - len(cells))
                yield Row(number, _content(columns.select([*cells, *padding])))
    except _DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{table}: not a readable Excel file ({reason}); save it as .xlsx without a password"
        ) from error
    if columns is None:
        Columns([], table)


def _content(values: Values) -> Values | str:
    """The values of a row; a number or a date in place of a text is not what was typed."""
    if values.text is not None and not isinstance(values.text, str):
        return (
            f"the text is {_described(values.text)} to Excel, which may have changed it: format "
            "the column as text and type it again"
        )
    return values


def _described(value: Any) -> str:
    return f"the number {value}" if isinstance(value, int | float) else f"the date {value}"
