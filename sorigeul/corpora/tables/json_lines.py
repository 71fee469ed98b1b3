"""JSON lines, an object a line; and JSON files that hold one list of objects."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sorigeul.base.errors import UserError
from sorigeul.corpora.tables.columns import Columns, Row


def read_rows(text: str, table: str) -> Iterator[Row]:
    """Yield the rows of a table of JSON lines, which may have different keys.

    ``table`` is what messages call it. Raises UserError if the first one lacks columns.
    """
    return _rows(_lines(text), table)


def read_list(text: str, table: str) -> Iterator[Row]:
    """Yield the rows of a JSON file: the entries of the only list of objects in it.

    Raises UserError as `read_rows` does, and if there is no such list, or more than one.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{table}: not JSON ({error})") from error
    lists = list(_lists_of_objects(content, ""))
    if len(lists) != 1:
        found = ", ".join(path for path, _ in lists) or "none"
        raise UserError(
            f"{table}: a table in JSON holds one list of objects, and here are {len(lists)} "
            f"({found}); for labels of AI Hub there is prepare aihub"
        )
    return _rows(enumerate(lists[0][1], 1), table)


class _Unreadable(NamedTuple):
    """In place of a row: a line that is no JSON."""

    reason: str


def _lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, _Unreadable(f"not JSON ({error})")


def _lists_of_objects(value: Any, path: str) -> Iterator[tuple[str, list[Any]]]:
    """The lists with objects in them, outermost first, and the keys that lead to them."""
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        yield path or "the file", value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _lists_of_objects(inner, f"{path}.{key}" if path else key)


def _rows(objects: Iterable[tuple[int, Any]], table: str) -> Iterator[Row]:
    columns: dict[tuple[str, ...], Columns | str] = {}
    for number, row in objects:
        if not isinstance(row, dict):
            is_unreadable = isinstance(row, _Unreadable)
            yield Row(number, row.reason if is_unreadable else "not a JSON object")
            continue
        keys = tuple(row)
        if keys not in columns:
            try:
                columns[keys] = Columns(keys, table)
            except UserError as error:
                if not columns:
                    raise
                columns[keys] = str(error).removeprefix(f"{table}: ")
        found = columns[keys]
        yield Row(number, found if isinstance(found, str) else found.select(list(row.values())))
