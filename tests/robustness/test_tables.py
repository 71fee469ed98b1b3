"""Damaged tables through `prepare`, and damaged manifests through `transcribe --manifest`.

The property is that of the recordings: a result and exit status 0, or one printable `error:` line
that names the file and status 2; nothing half written.
"""

import json
from pathlib import Path
from random import Random

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest
from helpers.commands import Command, Done
from helpers.mutations import mutated
from helpers.trees import read_cuts, write_tone

from sorigeul.base.errors import UserError
from sorigeul.corpora.tables import arrow, excel

_TEXTS = ("가 나", "“다, 라”", "1,000원")
_NASTY = (b"\0", b'"', b"\x1b[2J", b"\xff", b"\xed\xa0\x80", b"[" * 3_000, "\u202e\u200b".encode())


def _tables() -> dict[str, bytes]:
    rows = [{"audio": f"{n}.wav", "text": text, "speaker": "z"} for n, text in enumerate(_TEXTS)]
    quoted = "".join(f'{row["audio"]},"{row["text"]}",{row["speaker"]}\n' for row in rows)
    tabbed = "".join("\t".join(row.values()) + "\n" for row in rows)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return {
        "csv": f"audio,text,speaker\n{quoted}".encode(),
        "tsv": f"audio\ttext\tspeaker\n{tabbed}".encode(),
        "jsonl": lines.encode(),
    }


def _damaged(data: bytes, random: Random) -> bytes:
    if random.random() < 0.5:
        return mutated(data, random)
    place = random.randrange(len(data))
    return data[:place] + random.choice(_NASTY) + data[place:]


def _is_told(done: Done, named: str) -> bool:
    """Whether a command ended well, or with one line about what was given."""
    lines = done.err.splitlines()
    assert all(line.isprintable() for line in lines), done.err
    errors = [line for line in lines if line.startswith("error: ")]
    assert (done.status, len(errors)) in ((0, 0), (2, 1)), done.err
    assert not errors or named in errors[0], errors
    return done.status == 0


def test_damaged_tables(sorigeul: Command, tmp_path: Path) -> None:
    _try_tables(sorigeul, tmp_path, tries=90)


@pytest.mark.prove
def test_thousands_of_damaged_tables(sorigeul: Command, tmp_path: Path) -> None:
    _try_tables(sorigeul, tmp_path, tries=2_000)


def _try_tables(sorigeul: Command, folder: Path, tries: int) -> None:
    for number in range(len(_TEXTS)):
        write_tone(folder / f"{number}.wav", 1.0)
    whole = _tables()
    for number in range(tries):
        extension = list(whole)[number % len(whole)]
        table, out = folder / f"t{number}.{extension}", folder / f"out{number}"
        data = _damaged(whole[extension], Random(number))
        table.write_bytes(data)
        done = sorigeul("prepare", "table", table, out, "--jobs", "1")
        if _is_told(done, table.name):
            assert (out / "report.json").exists()
            texts = [
                cut["supervisions"][0]["text"]
                for path in out.glob("*.jsonl")
                for cut in read_cuts(path)
            ]
            assert texts
            assert all(text.isprintable() for text in texts)
        else:
            assert not list(out.glob("*.json*"))
        assert table.read_bytes() == data


def test_damaged_files_of_rows(tmp_path: Path) -> None:
    _try_files_of_rows(tmp_path, tries=60)


@pytest.mark.prove
def test_thousands_of_damaged_files_of_rows(tmp_path: Path) -> None:
    _try_files_of_rows(tmp_path, tries=2_000)


def _try_files_of_rows(folder: Path, tries: int) -> None:
    """Excel, Parquet and Arrow, whose libraries raise much, and crash on what is not checked."""
    workbook = openpyxl.Workbook()
    for row in [("audio", "text"), *((f"{n}.wav", text) for n, text in enumerate(_TEXTS * 10))]:
        workbook.active.append(row)
    workbook.save(folder / "whole.xlsx")
    recordings = [{"bytes": b"RIFF" * 9, "path": "a.wav"}] * 30
    table = pa.table({"audio": recordings, "text": [*_TEXTS] * 10})
    pyarrow.parquet.write_table(table, folder / "whole.parquet")
    with pa.ipc.new_stream(str(folder / "whole.arrow"), table.schema) as writer:
        writer.write_table(table)
    for path in list(folder.glob("whole.*")):
        read_rows = excel.read_rows if path.suffix == ".xlsx" else arrow.read_rows
        assert len(list(read_rows(path, path.name))) == 30
        data, damaged = path.read_bytes(), path.with_stem("damaged")
        for number in range(tries):
            damaged.write_bytes(mutated(data, Random(number)))
            fault = f"{damaged.name}: "
            try:
                list(read_rows(damaged, damaged.name))
            except UserError as error:
                fault = str(error)
            assert fault.startswith(f"{damaged.name}: ")
            assert "\n" not in fault


def test_damaged_manifests(sorigeul: Command, run: Path, corpus: Path, tmp_path: Path) -> None:
    _try_manifests(sorigeul, run, corpus, tmp_path, tries=30)


@pytest.mark.prove
def test_hundreds_of_damaged_manifests(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    _try_manifests(sorigeul, run, corpus, tmp_path, tries=300)


def _try_manifests(sorigeul: Command, run: Path, corpus: Path, folder: Path, tries: int) -> None:
    whole = (corpus / "dev.jsonl").read_bytes()
    for number in range(tries):
        manifest, out = folder / f"m{number}.jsonl", folder / f"out{number}.jsonl"
        data = _damaged(whole, Random(number))
        manifest.write_bytes(data)
        done = sorigeul("transcribe", run, "--manifest", manifest, "--out", out)
        is_whole = _is_told(done, f"{number}.jsonl")  # of the manifest, or of the output
        if is_whole or out.exists():
            rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
            assert is_whole == all("text" in row for row in rows)
        assert manifest.read_bytes() == data
