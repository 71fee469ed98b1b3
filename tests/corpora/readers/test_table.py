"""Your own recordings: tables in every format, with and without errors."""

import csv
import json
import os
import unicodedata
from pathlib import Path

import pytest
from helpers.trees import read_cuts, texts_by_id, write_text, write_tone

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare


def table_text(extension: str, columns: list[str], rows: list[list[str]]) -> str:
    """The content of a table in the format of the extension."""
    if extension == "jsonl":
        return "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows)
    separator = {"csv": ",", "tsv": "\t"}[extension]
    return "".join(separator.join(row) + "\n" for row in [columns, *rows])


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl"])
def test_every_format_gives_the_same_utterances_and_names_the_lines_of_rejected_rows(
    tmp_path: Path, extension: str
) -> None:
    rows = []
    for split in ("train", "dev", "test"):
        write_tone(tmp_path / "in" / "sub" / f"{split}.wav", rate=44_100)
        rows.append([f"sub/{split}.wav", f" 말  {split}", "나", split])
    rows.append(["sub/gone.wav", "없다", "나", "train"])
    rows.append(["sub/train.wav", "말", "나", "validation"])
    content = table_text(extension, ["audio", "text", "speaker", "split"], rows)
    table = write_text(tmp_path / "in" / f"table.{extension}", content, "utf-8-sig")
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    assert texts_by_id(tmp_path / "out") == {
        f"sub/{split}.wav": f"말 {split}" for split in ("train", "dev", "test")
    }
    first_line = 1 if extension == "jsonl" else 2
    gone, unknown = report.rejected
    assert gone.where == f"table.{extension}:{first_line + 3}"
    gone_path = tmp_path / "in" / "sub" / "gone.wav"
    assert gone.reason == f"transcript without audio: no file {gone_path}"
    assert unknown.where == f"table.{extension}:{first_line + 4}"
    assert unknown.reason == "split 'validation' is none of train, dev, test"
    assert csv.field_size_limit() >= 131_072  # the whole process has one, other readers too


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl"])
def test_a_table_without_a_required_column_is_refused_with_those_found(
    tmp_path: Path, extension: str
) -> None:
    content = table_text(extension, ["path", "text"], [["a.wav", "가"]])
    table = write_text(tmp_path / f"t.{extension}", content)
    with pytest.raises(UserError, match=rf"t\.{extension}: no column audio; .* has path, text"):
        prepare(CORPORA["table"], table, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_malformed_rows_are_rejected_and_rows_with_a_stray_quotation_mark(
    tmp_path: Path,
) -> None:
    for name in "abc":
        write_tone(tmp_path / f"{name}.wav")
    jsonl = '{"audio": "a.wav", "text": "가"}\n{oops\n[1]\n\n{"audio": "b.wav"}\n'
    report = prepare(CORPORA["table"], write_text(tmp_path / "t.jsonl", jsonl), tmp_path / "out1")
    assert [rejected.where for rejected in report.rejected] == [
        "t.jsonl:2",
        "t.jsonl:3",
        "t.jsonl:5",
    ]
    assert report.rejected[2].reason == "audio or text is missing"

    csv = 'audio,text\na.wav,"가, 나"\nb.wav,가,나\nc.wav\n'
    report = prepare(CORPORA["table"], write_text(tmp_path / "t.csv", csv), tmp_path / "out2")
    assert texts_by_id(tmp_path / "out2") == {"a.wav": "가, 나"}
    assert [rejected.where for rejected in report.rejected] == ["t.csv:3", "t.csv:4"]

    stray = 'audio,text\na.wav,"가\nb.wav,"나"\n'
    with pytest.raises(UserError, match=r"the first, t\.csv:2: not a row of a table"):
        prepare(CORPORA["table"], write_text(tmp_path / "t.csv", stray), tmp_path / "out3")


def test_decomposed_file_names_are_found(tmp_path: Path) -> None:
    write_tone(tmp_path / unicodedata.normalize("NFD", "녹음.wav"))
    table = write_text(tmp_path / "t.csv", "audio,text\n녹음.wav,가\n")
    prepare(CORPORA["table"], table, tmp_path / "out")
    source = read_cuts(tmp_path / "out" / "train.jsonl")[0]["recording"]["sources"][0]["source"]
    assert Path(source).is_file()


def test_a_source_that_is_no_table_or_would_be_overwritten_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"give a \.csv, \.tsv or \.jsonl table with audio and text"
    ):
        prepare(CORPORA["table"], tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match=r"ends in \.csv, \.tsv or \.jsonl, not '\.xlsx'"):
        prepare(CORPORA["table"], write_text(tmp_path / "t.xlsx", ""), tmp_path / "out")
    own = write_text(tmp_path / "train.jsonl", '{"audio": "a.wav", "text": "가"}\n')
    with pytest.raises(UserError, match="would be overwritten"):
        prepare(CORPORA["table"], own, tmp_path)


def test_a_row_that_cannot_be_used_does_not_end_the_work_on_the_others(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.wav")
    for name in ("a.wav", "z.wav"):
        write_tone(tmp_path / name)
    names = ["b\0.wav", "가" * 300 + ".wav", "x/" * 3_000, "fifo.wav", "/dev/zero", "..", "\x1b[2J"]
    rows = ["a.wav,가", *(f"{name},나" for name in names), 'b.wav,"x"y', "c.wav,다,라", "z.wav,마"]
    table = write_text(tmp_path / "t.csv", "\n".join(["audio,text", *rows]))
    report = prepare(CORPORA["table"], table, tmp_path / "csv")
    assert sorted(texts_by_id(tmp_path / "csv")) == ["a.wav", "z.wav"]
    lines = [f"t.csv:{number}" for number in range(3, 12)]
    assert [rejected.where for rejected in report.rejected] == lines
    rows = [
        json.dumps({"audio": name, "text": "나"}) for name in (*names, "\ud800", "a.wav", "z.wav")
    ]
    faults = [
        "[" * 100_000,
        '{"audio": 1e400, "text": NaN}',
        '{"audio": "a.wav", "text": "\\ud800"}',
    ]
    table = write_text(tmp_path / "t.jsonl", "\n".join([rows[-1], *faults, *rows]))
    report = prepare(CORPORA["table"], table, tmp_path / "jsonl")
    assert sorted(texts_by_id(tmp_path / "jsonl")) == ["a.wav", "z.wav"]
    assert len(report.rejected) == len(faults) + len(names) + 2  # one is there twice


def test_lines_that_a_stray_quotation_mark_swallows_are_rejected_together(tmp_path: Path) -> None:
    for name in ("a.wav", "e.wav"):
        write_tone(tmp_path / name)
    rows = ["a.wav,가", 'b.wav,"나', "c.wav,다", 'd.wav,"라', "e.wav,마"]
    table = write_text(tmp_path / "t.csv", "\n".join(["audio,text", *rows]))
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    assert sorted(texts_by_id(tmp_path / "out")) == ["a.wav", "e.wav"]
    (rejected,) = report.rejected
    assert (rejected.item, rejected.where) == ("row 3 to 5", "t.csv:3")
    assert rejected.reason.startswith("not a row of a table")
