"""Parquet and Arrow files, as Hugging Face datasets have them; recordings may be within them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.corpora.tables.columns import Columns, Row
from sorigeul.corpora.tables.embedded_audio import EmbeddedRecording

SUFFIXES = (".parquet", ".arrow")
_BATCH = 16  # rows in memory at a time: each may hold a recording


def read_rows(path: Path, table: str) -> Iterator[Row]:
    """Yield the rows of a file; ``table`` is what messages call it.

    ``audio`` is a path or an `EmbeddedRecording`. Raises UserError if pyarrow is missing, the file
    cannot be read or lacks columns.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise UserError(
            f"{table}: Parquet and Arrow files need another library: pip install "
            "'sorigeul[parquet]'"
        ) from error
    number = 0
    try:
        with ExitStack() as files:
            names, batches = _open(path, files)
            columns = Columns(names, table)
            wanted = [names[place] for place in columns.positions.values()]
            columns = Columns(wanted, table)
            for batch in batches(wanted):
                batch.validate(full=True)  # a damaged one could end this process
                for start in range(0, batch.num_rows, _BATCH):
                    rows = batch.select(wanted).slice(start, _BATCH).to_pylist()
                    for row in rows:
                        number += 1
                        values = columns.select([row[name] for name in wanted])
                        yield Row(number, values._replace(audio=_audio(values.audio)))
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{table}: cannot be read ({reason}); copy or make it again") from error


def _audio(value: Any) -> Any:
    """What a column of `datasets` holds: the bytes of a file, its path, or both."""
    if isinstance(value, bytes):
        return EmbeddedRecording(value, "")
    if isinstance(value, dict) and value.get("bytes"):
        return EmbeddedRecording(value["bytes"], str(value.get("path") or ""))
    return value.get("path") or value if isinstance(value, dict) else value


def _open(path: Path, files: ExitStack) -> tuple[list[str], Any]:
    """The names of the columns, and a function from names to batches with those columns."""
    import pyarrow as pa
    import pyarrow.parquet

    if path.suffix.lower() == ".parquet":
        parquet = files.enter_context(pyarrow.parquet.ParquetFile(path))
        names = parquet.schema_arrow.names
        return names, lambda wanted: parquet.iter_batches(_BATCH, columns=wanted)
    mapped = files.enter_context(pa.memory_map(str(path)))
    try:
        stream = files.enter_context(pa.ipc.open_stream(mapped))  # what `datasets` writes
        return stream.schema.names, lambda wanted: stream
    except pa.ArrowInvalid:
        file = files.enter_context(pa.ipc.open_file(mapped))
        return file.schema.names, lambda wanted: map(file.get_batch, range(file.num_record_batches))
