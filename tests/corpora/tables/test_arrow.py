"""Parquet and Arrow files, with paths and with recordings in them."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from sorigeul.base.errors import UserError
from sorigeul.corpora.tables.arrow import read_rows
from sorigeul.corpora.tables.columns import Row, Values
from sorigeul.corpora.tables.embedded_audio import EmbeddedRecording

TABLE = pa.table(
    {
        "id": list(range(50)),
        "audio": [{"bytes": b"RIFF", "path": f"{number}.WAV"} for number in range(49)]
        + [{"bytes": None, "path": "49.wav"}],
        "sentence": [f"말 {number}" for number in range(50)],
    }
)


def write(path: Path, table: Any, kind: str = "stream") -> Path:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=20)
    else:
        new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
        with new(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=20)
    return path


@pytest.mark.parametrize(
    ("name", "kind"), [("t.parquet", ""), ("t.arrow", "stream"), ("t.arrow", "file")]
)
def test_rows_are_read_with_their_recordings(tmp_path: Path, name: str, kind: str) -> None:
    rows = list(read_rows(write(tmp_path / name, TABLE, kind), name))
    assert [row.number for row in rows] == list(range(1, 51))
    first = Values(EmbeddedRecording(b"RIFF", "0.WAV"), "말 0", None, None)
    assert rows[0] == Row(1, first)
    assert rows[-1] == Row(50, Values("49.wav", "말 49", None, None))


def test_files_that_are_damaged_or_lack_columns_are_refused(tmp_path: Path) -> None:
    for name in ("t.parquet", "t.arrow"):
        data = write(tmp_path / name, TABLE).read_bytes()
        for damaged in (b"", b"audio,text\n", data[: len(data) // 2]):
            (tmp_path / f"d{name}").write_bytes(damaged)
            with pytest.raises(UserError, match=r"d: cannot be read \(.*\); copy or make it again"):
                list(read_rows(tmp_path / f"d{name}", "d"))
    path = write(tmp_path / "t.parquet", TABLE.drop_columns("audio"))
    with pytest.raises(UserError, match=r"no column audio; .* and has id, sentence"):
        list(read_rows(path, "t.parquet"))


@pytest.mark.parametrize(
    ("name", "extension"),
    [("a/가.FLAC", ".flac"), ("", ""), ("x.tar gz", ""), ("a.wav/../../b", "")],
)
def test_a_recording_keeps_its_extension(name: str, extension: str) -> None:
    assert EmbeddedRecording(b"", name).extension == extension


def test_a_recording_is_written_only_if_it_is_another(tmp_path: Path) -> None:
    path = EmbeddedRecording(b"one", "a.wav").write(tmp_path / "x" / "a.wav")
    before = path.stat().st_ino
    EmbeddedRecording(b"one", "a.wav").write(path)
    assert path.stat().st_ino == before
    EmbeddedRecording(b"two", "a.wav").write(path)
    assert path.read_bytes() == b"two"


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'sorigeul\[parquet\]'"):
        list(read_rows(tmp_path / "t.parquet", "t.parquet"))
