"""Your own recordings: tables in every format, with and without errors."""

import csv
import json
import os
import socket
import unicodedata
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest
from helpers.trees import file_contents, read_cuts, texts_by_id, write_text, write_tone

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
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
    rows.append(["sub/train.wav", "말", "나", "other"])
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
    assert unknown.reason == "split 'other' is none of train, dev, test"
    assert csv.field_size_limit() >= 131_072  # the whole process has one, other readers too


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl"])
def test_a_table_without_a_required_column_is_refused_with_those_found(
    tmp_path: Path, extension: str
) -> None:
    content = table_text(extension, ["place", "text"], [["a.wav", "가"]])
    table = write_text(tmp_path / f"t.{extension}", content)
    with pytest.raises(UserError, match=rf"t\.{extension}: no column audio; .* has place, text"):
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
    assert report.rejected[2].reason.startswith("no column text; it has to have audio and text")

    csv = 'audio,text\na.wav,"가, 나"\nb.wav,가,나\nc.wav\n'
    report = prepare(CORPORA["table"], write_text(tmp_path / "t.csv", csv), tmp_path / "out2")
    assert texts_by_id(tmp_path / "out2") == {"a.wav": "가, 나"}
    assert [rejected.where for rejected in report.rejected] == ["t.csv:3", "t.csv:4"]

    stray = 'audio,text\na.wav,"가\nb.wav,"나"\n'
    report = prepare(CORPORA["table"], write_text(tmp_path / "t.csv", stray), tmp_path / "out3")
    assert texts_by_id(tmp_path / "out3") == {"b.wav": "나"}
    assert [rejected.where for rejected in report.rejected] == ["t.csv:2"]


def test_a_text_that_is_no_text_is_called_what_it_is(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav")
    texts = ["가", 42, ["가"], None, float("nan")]
    rows = [json.dumps({"audio": "a.wav", "text": text}) for text in texts]
    table = write_text(tmp_path / "t.jsonl", "\n".join([*rows, '"not JSON (a string)"']))
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    assert [rejected.reason for rejected in report.rejected] == [
        "the text is the number 42: write it in quotation marks",
        "the text is a list or an object: write it in quotation marks",
        "audio or text is missing",
        "audio or text is missing",
        "not a JSON object",
    ]


def test_a_speaker_is_the_same_however_the_name_is_written(tmp_path: Path) -> None:
    """Else the voice of a speaker of train would be in test."""
    names = ("김철수", "김철수 ", unicodedata.normalize("NFD", "김철수"), float("nan"))
    rows = []
    for number in range(20):
        write_tone(tmp_path / f"{number}.wav")
        row = {"audio": f"{number}.wav", "text": f"말 {number}", "speaker": names[number % 4]}
        rows.append(json.dumps(row))
    report = prepare(
        CORPORA["table"], write_text(tmp_path / "t.jsonl", "\n".join(rows)), tmp_path / "out"
    )
    assert report.total["speakers"] == 1
    assert report.overlap.endswith("5 utterances name no speaker")


def test_decomposed_file_names_are_found(tmp_path: Path) -> None:
    write_tone(tmp_path / unicodedata.normalize("NFD", "녹음.wav"))
    table = write_text(tmp_path / "t.csv", "audio,text\n녹음.wav,가\n")
    prepare(CORPORA["table"], table, tmp_path / "out")
    source = read_cuts(tmp_path / "out" / "train.jsonl")[0]["recording"]["sources"][0]["source"]
    assert Path(source).is_file()


def test_a_source_that_is_no_table_or_would_be_overwritten_is_refused(tmp_path: Path) -> None:
    kinds = r"\.csv, \.tsv, \.jsonl, \.json, \.xlsx, \.parquet or \.arrow"
    with pytest.raises(UserError, match=rf"give a {kinds} table with audio and text"):
        prepare(CORPORA["table"], tmp_path / "gone.csv", tmp_path / "out")
    with pytest.raises(UserError, match=r"holds no \.parquet or \.arrow file of a dataset; give"):
        prepare(CORPORA["table"], tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match=rf"ends in {kinds}, not '\.xls'"):
        prepare(CORPORA["table"], write_text(tmp_path / "t.xls", ""), tmp_path / "out")
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


@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_stray_quotation_mark_swallows_no_row(tmp_path: Path, separator: str) -> None:
    for name in "abcde":
        write_tone(tmp_path / f"{name}.wav", 1.0)
    rows = ["audio,text", "a.wav,가", 'b.wav,"나', "c.wav,다", 'd.wav,"라', "e.wav,마"]
    table = write_text(tmp_path / "t.csv", "\n".join(rows).replace(",", separator))
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    texts = texts_by_id(tmp_path / "out")
    if separator == "\t":
        assert texts == dict(
            zip([f"{n}.wav" for n in "abcde"], ["가", '"나', "다", '"라', "마"], strict=True)
        )
    else:
        assert texts == {"a.wav": "가", "c.wav": "다", "e.wav": "마"}
        assert [rejected.where for rejected in report.rejected] == ["t.csv:3", "t.csv:5"]


def test_a_text_that_holds_other_rows_is_refused_in_every_format(tmp_path: Path) -> None:
    """As a program leaves it that has read a stray quotation mark."""
    for name in "ab":
        write_tone(tmp_path / f"{name}.wav")
    rows = [("a.wav", "가\nc.wav,나"), ("b.wav", "다\n")]
    jsonl = "".join(json.dumps({"audio": audio, "text": text}) + "\n" for audio, text in rows)
    workbook = openpyxl.Workbook()
    for row in (("audio", "text"), *rows):
        workbook.active.append(row)
    workbook.save(tmp_path / "t.xlsx")
    for table in (write_text(tmp_path / "t.jsonl", jsonl), tmp_path / "t.xlsx"):
        report = prepare(CORPORA["table"], table, tmp_path / f"out-{table.suffix}")
        assert texts_by_id(tmp_path / f"out-{table.suffix}") == {"b.wav": "다"}
        assert report.rejected[0].reason.startswith("the text has a line end")


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path) -> None:
    write_tone(tmp_path / "a.wav")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "fifo.wav")
    with socket.socket(socket.AF_UNIX) as listener:
        folder = os.open(tmp_path, os.O_RDONLY)  # the path itself may be too long for a socket
        listener.bind(f"/proc/self/fd/{folder}/socket.wav")
        os.close(folder)
        names = ("a", "folder", "fifo", "socket")
        rows = ["audio,text", *(f"{name}.wav,말" for name in names)]
        table = write_text(tmp_path / "t.csv", "\n".join(rows))
        report = prepare(CORPORA["table"], table, tmp_path / "out")
    assert [rejected.reason for rejected in report.rejected] == [
        f"{tmp_path}/{name}.wav: is a {kind}; give a regular file"
        for name, kind in (("folder", "folder"), ("fifo", "named pipe"), ("socket", "socket"))
    ]


def test_a_table_of_a_windows_machine_is_read_with_audio_root(tmp_path: Path) -> None:
    for name in ("하나/가.WAV", "둘/나.wav"):
        write_tone(tmp_path / "disk" / unicodedata.normalize("NFD", name))
    rows = ["파일;전사", "C:\\나\\녹음\\하나\\가.wav;가", "C:\\나\\녹음\\둘\\나.wav;나"]
    rows.append("C:\\나\\녹음\\둘\\나1.wav;다")
    table = write_text(tmp_path / "t.csv", "\ufeff" + "\r\n".join(rows), "utf-16-le")
    with pytest.raises(UserError, match=r"a path on a Windows machine: name .* --audio_root"):
        prepare(CORPORA["table"], table, tmp_path / "out")
    options = PrepareOptions(audio_root=str(tmp_path / "disk"))
    report = prepare(CORPORA["table"], table, tmp_path / "out", options)
    found = {"C:/나/녹음/하나/가.wav": "가", "C:/나/녹음/둘/나.wav": "나"}
    assert texts_by_id(tmp_path / "out") == found
    (gone,) = report.rejected
    assert "disk/둘/나1.wav; the nearest name there is" in gone.reason
    with pytest.raises(UserError, match=rf"audio_root {tmp_path}/in: holds no recording of"):
        prepare(
            CORPORA["table"], table, tmp_path / "x", PrepareOptions(audio_root=f"{tmp_path}/in")
        )


def test_the_marks_of_ai_hub_are_read_where_one_asks_for_it(tmp_path: Path) -> None:
    texts = ["b/ 아/ (3시)/(세 시)에 만나요 n/", "뭐+ 뭐라고 했어* u/", "그냥 말"]
    for number in range(3):
        write_tone(tmp_path / f"{number}.wav", 2)
    rows = [f"{number}.wav,{text}" for number, text in enumerate(texts)]
    table = write_text(tmp_path / "t.csv", "\n".join(["audio,text", *rows]))
    read = {
        "": texts,
        "pronunciation": ["아 세 시에 만나요", "뭐 뭐라고 했어", "그냥 말"],
        "spelling": ["아 3시에 만나요", "뭐 뭐라고 했어", "그냥 말"],
    }
    warning = (
        "2 transcripts hold marks of AI Hub's transcription rules (b/ in 2, )/( in 1, + in 1, "
        "* in 1), which become characters to learn; prepare table --text pronunciation (or "
        "spelling) reads )/( b/ + and *, a description for prepare aihub reads any: 0.wav, 1.wav"
    )
    for text, expected in read.items():
        out = tmp_path / f"out{text}"
        report = prepare(CORPORA["table"], table, out, PrepareOptions(text=text))
        kept = texts_by_id(out)
        assert [kept[f"{number}.wav"] for number in range(3)] == expected
        assert [one for one in report.warnings if "marks" in one] == [warning] * (text == "")
    options = PrepareOptions(punctuation="drop")  # which leaves the letters of b/
    report = prepare(CORPORA["table"], table, tmp_path / "drop", options)
    assert warning in report.warnings


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_dataset_with_recordings_in_it_is_read(tmp_path: Path, kind: str) -> None:
    """As the hub has it, and as `save_to_disk` writes it, beside what `map` has cached."""
    recording = write_tone(tmp_path / "a.wav").read_bytes()
    names = {"parquet": "data/{}-00000-of-00001.parquet", "arrow": "{}/data-00000-of-00001.arrow"}
    written = [names[kind].format(split) for split in ("train", "validation", "test")]
    for name in (*written, "train/cache-0123456789abcdef.arrow"):
        rows = {"audio": [{"bytes": recording, "path": "x.wav"}] * 2, "sentence": ["가", "나"]}
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(pa.table(rows), path)
        else:
            with pa.ipc.new_stream(str(path), pa.table(rows).schema) as writer:
                writer.write_table(pa.table(rows))
    out = tmp_path / "out"
    prepare(CORPORA["table"], tmp_path / "in", out)
    for name, split in zip(written, ("train", "dev", "test"), strict=True):
        ids = [f"{name.rpartition('.')[0]}/{number:06d}.wav" for number in (1, 2)]
        assert texts_by_id(out, split) == dict(zip(ids, "가나", strict=True))
        assert [(out / "audio" / id_).read_bytes() for id_ in ids] == [recording] * 2
    before = file_contents(out)
    prepare(CORPORA["table"], tmp_path / "in", out)
    assert file_contents(out) == before


def test_splits_may_be_called_otherwise(tmp_path: Path) -> None:
    for name in "abc":
        write_tone(tmp_path / f"{name}.wav")
    rows = ["파일,전사,분할", "a.wav,가,훈련", "b.wav,나,Validation", "c.wav,다,평가"]
    prepare(CORPORA["table"], write_text(tmp_path / "t.csv", "\n".join(rows)), tmp_path / "out")
    assert texts_by_id(tmp_path / "out", "dev") == {"b.wav": "나"}
    assert texts_by_id(tmp_path / "out", "test") == {"c.wav": "다"}
    both = write_text(tmp_path / "both.csv", "\n".join([*rows, "d.wav,라,eval"]))
    with pytest.raises(UserError, match="eval and validation are both there"):
        prepare(CORPORA["table"], both, tmp_path / "both")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp949"])
def test_a_json_file_is_read_by_the_one_list_of_objects_in_it(
    tmp_path: Path, encoding: str
) -> None:
    write_tone(tmp_path / "a.wav")
    rows = [{"audio": "a.wav", "text": "가나"}, 5, {"audio": "b.wav", "text": "다라"}]
    for name, content in (("list", rows), ("deep", {"dataSet": {"of": "x", "dialogs": rows}})):
        text = json.dumps(content, ensure_ascii=False)
        table = write_text(tmp_path / f"{name}.json", text, encoding)
        report = prepare(CORPORA["table"], table, tmp_path / name)
        assert texts_by_id(tmp_path / name) == {"a.wav": "가나"}
        assert [item.where for item in report.rejected] == [f"{name}.json:2", f"{name}.json:3"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[1", "not JSON"),
        ("[1, 2]", r"one list of objects, and here are 0 \(none\)"),
        ('{"a": [{}], "b": {"c": [{}]}}', r"here are 2 \(a, b.c\); for labels of AI Hub"),
        ('[{"x": 1}]', "no column audio and no column text"),
    ],
)
def test_a_json_file_that_is_no_table_is_refused(tmp_path: Path, content: str, fault: str) -> None:
    table = write_text(tmp_path / "t.json", content)
    with pytest.raises(UserError, match=rf"t\.json: .*{fault}"):
        prepare(CORPORA["table"], table, tmp_path / "out")
