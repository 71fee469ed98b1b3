"""Your own recordings, listed in a CSV, TSV or JSONL file."""

import csv
import json
import os
import unicodedata
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.utterances import Layout, Rejected, Utterance
from sorigeul.text.file_encoding import decode_text

COLUMNS = "audio and text, optionally speaker and split"
SPLITS = ("train", "dev", "test")
Row = dict[str, Any]


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield an utterance for each row; paths in ``audio`` are relative to the table's folder."""
    del out, options
    if source is None or not source.is_file():
        raise UserError(f"{source}: no such file; give a .csv, .tsv or .jsonl table with {COLUMNS}")
    text = decode_text(source.read_bytes(), str(source))
    match source.suffix.lower():
        case ".csv":
            rows = _separated_rows(text, source, csv.excel)
        case ".tsv":
            rows = _separated_rows(text, source, csv.excel_tab)
        case ".jsonl":
            rows = _json_rows(text, source)
        case other:
            raise UserError(f"{source}: a table ends in .csv, .tsv or .jsonl, not '{other}'")
    yield Layout(f"table of {COLUMNS}")
    for number, row in rows:
        yield row if isinstance(row, Rejected) else _utterance(row, source, number)


def _separated_rows(
    text: str, source: Path, dialect: type[csv.Dialect]
) -> Iterator[tuple[int, Row | Rejected]]:
    """The rows of a CSV or TSV file, each with its line number."""
    # Strict, because a stray quotation mark would otherwise swallow the lines that follow it.
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))  # of the whole process
    rows = csv.reader(StringIO(text, newline=""), dialect, strict=True)
    header: list[str] | None = None
    while True:
        first = rows.line_num + 1
        try:
            fields = next(rows)
        except StopIteration:
            break
        except csv.Error as error:
            if header is None:
                raise UserError(f"{source}:{first}: not a readable table ({error})") from error
            last = "" if rows.line_num == first else f" to {rows.line_num}"
            reason = f"not a row of a table ({error})"
            yield first, Rejected(f"row {first}{last}", reason, f"{source.name}:{first}")
            continue
        if header is None:
            header = [name.strip() for name in fields]
            _check_columns(header, source)
        elif fields:
            row: Row | Rejected = dict(zip(header, fields, strict=False))
            if len(fields) != len(header):
                reason = f"{len(fields)} fields where the header has {len(header)}"
                row = _reject(reason, source, rows.line_num)
            yield rows.line_num, row
    if header is None:
        _check_columns([], source)


def _json_rows(text: str, source: Path) -> Iterator[tuple[int, Row | Rejected]]:
    """The rows of a JSONL file, each with its line number."""
    columns_checked = False
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield number, _reject(f"not JSON ({error})", source, number)
            continue
        if not isinstance(row, dict):
            yield number, _reject("not a JSON object", source, number)
            continue
        if not columns_checked:
            _check_columns(list(row), source)
            columns_checked = True
        yield number, row


def _check_columns(columns: list[str], source: Path) -> None:
    if missing := [column for column in ("audio", "text") if column not in columns]:
        raise UserError(
            f"{source}: no column {' and no column '.join(missing)}; it has to have {COLUMNS}, "
            f"and has {', '.join(columns) or 'nothing'}"
        )


def _utterance(row: Row, source: Path, number: int) -> Utterance | Rejected:
    audio, text = row.get("audio"), row.get("text")
    if not isinstance(audio, str) or not isinstance(text, str) or not audio:
        return _reject("audio or text is missing", source, number)
    split = row.get("split") or None
    if split not in (*SPLITS, None):
        return _reject(f"split '{split}' is none of {', '.join(SPLITS)}", source, number)
    path = source.parent / audio
    # macOS stores Hangul file names decomposed (NFD), and the table has been decoded to NFC.
    decomposed = source.parent / unicodedata.normalize("NFD", audio)
    if not os.path.exists(path) and os.path.exists(decomposed):
        path = decomposed
    speaker = str(row.get("speaker") or "") or None
    return Utterance(audio, path, text, speaker, split, where=f"{source.name}:{number}")


def _reject(reason: str, source: Path, number: int) -> Rejected:
    return Rejected(f"row {number}", reason, f"{source.name}:{number}")
