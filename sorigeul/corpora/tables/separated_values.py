"""CSV and TSV. Each line is a row, whatever quotation marks are in it.

A stray quotation mark can so never swallow the rows that follow it. Where a field does have a line
end, the row is refused by the line where it began, and its further lines for what they are.
"""

import csv
import re
from collections.abc import Iterator

from sorigeul.base.errors import UserError
from sorigeul.corpora.tables.columns import Columns, Row

_SEPARATORS = (",", ";", "\t")
# A field that nobody writes who does not quote: in marks, with the marks in it doubled.
_QUOTED_WITH_MARKS = re.compile(r'"(?:[^"]|"")*""(?:[^"]|"")*"')


def read_rows(text: str, table: str, separator: str) -> Iterator[Row]:
    """Yield the rows of a table after its header.

    ``separator`` is what the name of the file promises; another one is taken if only with it the
    header has the columns. ``table`` is what messages call the table. Raises UserError if the
    header lacks columns.
    """
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))  # of the whole process
    lines = text.split("\n")
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    first, header = next(numbered, (1, ""))
    separator, columns = _find_columns(header, f"{table}:{first}", table, separator)
    quoted = separator != "\t" or _is_quoted(header, lines)
    for number, line in numbered:
        try:
            fields = _fields(line, separator, quoted)
        except csv.Error:
            reason = (
                "a quotation mark is not closed in its line, or not the end of its field: double "
                "a mark that belongs to the text, and write the text in one line"
            )
            yield Row(number, reason)
            continue
        if len(fields) != len(columns.names):
            reason = f"{len(fields)} fields where the header has {len(columns.names)}"
            yield Row(number, reason)
            continue
        yield Row(number, columns.select(fields))


def _find_columns(header: str, place: str, table: str, separator: str) -> tuple[str, Columns]:
    """The separator of a table and its columns."""
    faults = []
    for candidate in (separator, *(other for other in _SEPARATORS if other != separator)):
        names: list[str] = []
        try:
            names = [name.strip() for name in _fields(header, candidate, quoted=True)]
            return candidate, Columns(names, table)
        except csv.Error as error:
            fault = UserError(f"{place}: not a readable header of a table ({error})")
        except UserError as error:
            fault = error
        faults.append((len(names), fault))
    # Told of the separator that divides the header; of the first one if none does.
    raise max(faults, key=lambda one: one[0])[1]


def _fields(line: str, separator: str, quoted: bool) -> list[str]:
    """The fields of a line. Raises csv.Error for marks that do not enclose a field."""
    if not quoted:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator, strict=True))


def _is_quoted(header: str, lines: list[str]) -> bool:
    """Whether a TSV, which usually has no quoting, plainly has it."""
    if all(len(name) > 1 and name[0] == name[-1] == '"' for name in header.split("\t")):
        return True
    return any(
        _QUOTED_WITH_MARKS.fullmatch(field)
        for line in lines
        if '""' in line
        for field in line.split("\t")
    )
