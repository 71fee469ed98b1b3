"""The other corpora and one's own recordings: small real trees, prepared and read back."""

import base64
import json
import unicodedata
from pathlib import Path

import pytest
from helpers.paths import SHARED
from helpers.trees import audio, cuts, reasons, texts, write

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare

PANSORI = SHARED / "corpora" / "pansori-tedxkr"

# Corpora as they are published


def test_pansori(tmp_path: Path) -> None:
    code = base64.urlsafe_b64encode("김\xff길동".encode()).decode().rstrip("=")
    raw = "not-a-name"
    for speaker in (code, raw):
        talk = tmp_path / "in" / "data" / speaker / "talk-1"
        lines = []
        for number in range(3):
            audio(talk / f"{speaker}-talk-1-{number:04d}.flac")
            lines.append(f"{speaker}-talk-1-{number:04d} 문장  {number}")
        write(
            talk / f"{speaker}-talk-1.trans.txt", "\n".join([*lines[1:], f"{speaker}-9 없다", ""])
        )
        audio(talk / "._junk.flac")
    report = prepare(CORPORA["pansori"], tmp_path / "in", tmp_path / "out")
    found = [c for s in ("train", "dev", "test") for c in cuts(tmp_path / "out" / f"{s}.jsonl")]
    assert {cut["supervisions"][0]["speaker"] for cut in found} == {"김\xff길동", raw}
    assert {cut["supervisions"][0]["text"] for cut in found} == {"문장 1", "문장 2"}
    shown = f"data/{code}/talk-1/{code}-talk-1"
    why = reasons(report)
    assert why[f"{code}-talk-1-0000"] == f"{shown}-0000.flac | audio without a transcript"
    assert why[f"{code}-9"].startswith(f"{shown}.trans.txt:3 | transcript without audio")
    assert len(why) == 4


@pytest.mark.skipif(not PANSORI.is_dir(), reason="the corpus is not here")
def test_pansori_itself(tmp_path: Path) -> None:
    report = prepare(CORPORA["pansori"], PANSORI, tmp_path)
    assert sum(split["utterances"] for split in report.splits.values()) == 2_987
    assert sum(split["speakers"] for split in report.splits.values()) == 41
    hours = {name: split["hours"] for name, split in report.splits.items()}
    assert sum(hours.values()) == pytest.approx(2.69, abs=0.01)
    assert hours["dev"] / sum(hours.values()) == pytest.approx(0.1, abs=0.02)
    assert hours["test"] / sum(hours.values()) == pytest.approx(0.1, abs=0.02)
    assert {item.item: item.reason for item in report.rejected} == {
        "6rOg6rG07ZiB-aWPB0xeM8UA-0162": "audio without a transcript",
        "7Jyk7Jes7KSA-LnGadr1MDs8-0323": "audio without a transcript",
    }
    assert not report.warnings
    characters = set().union(*texts(tmp_path).values())
    assert len(characters - {"♪", "”"}) == 920


def test_zeroth(tmp_path: Path) -> None:
    for part, speakers in (("train_data_01", ("101", "102", "103")), ("test_data_01", ("201",))):
        for speaker in speakers:
            folder = tmp_path / "in" / part / "003" / speaker
            lines = [f"{speaker}_003_{n:04d} 같은 문장 {n}" for n in range(3)]
            for line in lines:
                audio(folder / f"{line.split()[0]}.flac")
            write(folder / f"{speaker}_003.trans.txt", "\n".join(lines))
    report = prepare(CORPORA["zeroth"], tmp_path / "in", tmp_path / "out")
    voices = {
        split: {
            cut["supervisions"][0]["speaker"] for cut in cuts(tmp_path / "out" / f"{split}.jsonl")
        }
        for split in ("train", "dev", "test")
    }
    assert voices["test"] == {"201"}
    assert len(voices["dev"]) == 1
    assert voices["train"] == {"101", "102", "103"} - voices["dev"]
    assert report.split_by == "speaker"
    assert report.published["train"]["utterances"] == {"published": 22_263, "found": 9}
    assert report.published["test"]["speakers"] == {"published": 10, "found": 1}
    assert "test: 3 of 3 sentences are in train too; a model can know them" in report.warnings


def test_clovacall(tmp_path: Path) -> None:
    entries = {
        split: [
            {"wav": f"{split}_{n}.wav", "text": f"예약 {n}", "speaker_id": n % 4} for n in range(8)
        ]
        for split in ("train", "test")
    }
    for version in ("clean", "raw"):
        for split, listed in entries.items():
            for entry in listed:
                audio(tmp_path / "in" / version / "wavs" / str(entry["wav"]))
            path = tmp_path / "in" / version / f"{split}_ClovaCall.json"
            extra = [{"wav": "x.wav"}] if split == "train" else []
            write(path, json.dumps(listed + extra, ensure_ascii=False))
    audio(tmp_path / "in" / "clean" / "wavs" / "unlisted.wav")
    report = prepare(CORPORA["clovacall"], tmp_path / "in", tmp_path / "out")
    assert set(texts(tmp_path / "out", "test")) == {f"test_{n}" for n in range(8)}
    assert len(texts(tmp_path / "out", "train", "dev")) == 8
    source = cuts(tmp_path / "out" / "test.jsonl")[0]["recording"]["sources"][0]["source"]
    assert source == str(tmp_path / "in" / "clean" / "wavs" / "test_0.wav")
    assert report.published["test"]["utterances"] == {"published": 1_084, "found": 8}
    assert "there are raw lists too; only the clean ones were read" in report.notes
    why = reasons(report)
    assert why["entry 9"].startswith("clean/train_ClovaCall.json: entry 9 | entry without")
    assert why["unlisted"] == "clean/wavs/unlisted.wav | audio without a transcript"
    assert len(why) == 2
    with pytest.raises(UserError, match="not ClovaCall; it should hold clean"):
        prepare(CORPORA["clovacall"], tmp_path / "out", tmp_path / "other")


def test_commonvoice(tmp_path: Path) -> None:
    header = "client_id\tpath\tsentence_id\tsentence\tup_votes\n"
    for language in ("en", "ko"):
        home = tmp_path / "cv-corpus-17.0" / language
        for split in ("train", "dev", "test"):
            audio(home / "clips" / f"{language}_{split}.mp3", rate=32_000)
            row = f'{split}er\t{language}_{split}.mp3\tx\t"따옴표가 {split}\t2\n'
            write(home / f"{split}.tsv", header + row)
        audio(home / "clips" / "never_validated.mp3")
    ko = tmp_path / "cv-corpus-17.0" / "ko"
    with (ko / "dev.tsv").open("a", encoding="utf-8") as file:
        file.write("a\tb\n\nc\tgone\tx\t없다\t1\n")
    report = prepare(CORPORA["commonvoice"], tmp_path, tmp_path / "out")
    assert texts(tmp_path / "out") == {
        f"ko_{s}": f'"따옴표가 {s}' for s in ("train", "dev", "test")
    }
    why = reasons(report)
    assert why["dev.tsv:3"] == "dev.tsv:3 | 2 fields where the header has 5"
    assert why["gone"].startswith("dev.tsv:5 | transcript without audio")
    assert "gone.mp3" in why["gone"]
    assert len(why) == 2
    write(ko / "train.tsv", "id\tpath\tsentence\n")
    with pytest.raises(UserError, match="no column client_id; found id, path, sentence"):
        prepare(CORPORA["commonvoice"], tmp_path, tmp_path / "out")


def test_fleurs(tmp_path: Path) -> None:
    home = tmp_path / "in" / "ko_kr"
    for split in ("train", "dev", "test"):
        rows = []
        for reading in range(2):  # two speakers read the same sentence, under one id
            audio(home / "audio" / split / f"{split}{reading}.wav")
            rows.append(
                f"7\t{split}{reading}.wav\t원문, {split}!\t원문 {split}\t원|문\t8000\tMALE\n"
            )
        write(home / f"{split}.tsv", "".join(rows))
    audio(home / "audio" / "dev" / "more.wav")
    report = prepare(CORPORA["fleurs"], tmp_path / "in", tmp_path / "out")
    assert texts(tmp_path / "out", "dev") == {"dev0": "원문 dev", "dev1": "원문 dev"}
    assert report.split_by == "corpus"
    assert reasons(report) == {"more": "audio/dev/more.wav | audio without a transcript"}


# One's own recordings


def rows_of(kind: str, columns: list[str], rows: list[list[str]]) -> str:
    if kind == "jsonl":
        return "".join(json.dumps(dict(zip(columns, r, strict=True))) + "\n" for r in rows)
    mark = {"csv": ",", "tsv": "\t"}[kind]
    return "".join(mark.join(row) + "\n" for row in [columns, *rows])


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_table_formats(tmp_path: Path, kind: str) -> None:
    rows = []
    for split in ("train", "dev", "test"):
        audio(tmp_path / "in" / "sub" / f"{split}.wav", rate=44_100)
        rows.append([f"sub/{split}.wav", f" 말  {split}", "나", split])
    rows.append(["sub/gone.wav", "없다", "나", "train"])
    rows.append(["sub/train.wav", "말", "나", "validation"])
    content = rows_of(kind, ["audio", "text", "speaker", "split"], rows)
    path = write(tmp_path / "in" / f"table.{kind}", content, "utf-8-sig")
    report = prepare(CORPORA["table"], path, tmp_path / "out")
    assert texts(tmp_path / "out") == {f"sub/{s}.wav": f"말 {s}" for s in ("train", "dev", "test")}
    first = 1 if kind == "jsonl" else 2
    gone, unknown = report.rejected
    assert gone.where == f"table.{kind}:{first + 3}"
    assert (
        gone.reason == f"transcript without audio: no file {tmp_path / 'in' / 'sub' / 'gone.wav'}"
    )
    assert unknown.where == f"table.{kind}:{first + 4}"
    assert unknown.reason == "split 'validation' is none of train, dev, test"


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl"])
def test_table_without_a_column_names_those_found(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / f"t.{kind}", rows_of(kind, ["path", "text"], [["a.wav", "가"]]))
    with pytest.raises(UserError, match=rf"t\.{kind}: no column audio; .* has path, text"):
        prepare(CORPORA["table"], path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_table_rows_that_are_none(tmp_path: Path) -> None:
    for name in "abc":
        audio(tmp_path / f"{name}.wav")
    jsonl = '{"audio": "a.wav", "text": "가"}\n{oops\n[1]\n\n{"audio": "b.wav"}\n'
    report = prepare(CORPORA["table"], write(tmp_path / "t.jsonl", jsonl), tmp_path / "out1")
    assert [item.where for item in report.rejected] == ["t.jsonl:2", "t.jsonl:3", "t.jsonl:5"]
    assert report.rejected[2].reason == "audio or text is missing"

    csv = 'audio,text\na.wav,"가, 나"\nb.wav,가,나\nc.wav\n'
    report = prepare(CORPORA["table"], write(tmp_path / "t.csv", csv), tmp_path / "out2")
    assert texts(tmp_path / "out2") == {"a.wav": "가, 나"}
    assert [item.where for item in report.rejected] == ["t.csv:3", "t.csv:4"]

    stray = 'audio,text\na.wav,"가\nb.wav,"나"\n'
    with pytest.raises(UserError, match=r"t\.csv:3: not a readable table"):
        prepare(CORPORA["table"], write(tmp_path / "t.csv", stray), tmp_path / "out3")


def test_table_with_decomposed_file_names(tmp_path: Path) -> None:
    audio(tmp_path / unicodedata.normalize("NFD", "녹음.wav"))
    path = write(tmp_path / "t.csv", "audio,text\n녹음.wav,가\n")
    prepare(CORPORA["table"], path, tmp_path / "out")
    source = cuts(tmp_path / "out" / "train.jsonl")[0]["recording"]["sources"][0]["source"]
    assert Path(source).is_file()


def test_table_must_be_a_table(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"give a \.csv, \.tsv or \.jsonl table with audio and text"
    ):
        prepare(CORPORA["table"], tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match=r"ends in \.csv, \.tsv or \.jsonl, not '\.xlsx'"):
        prepare(CORPORA["table"], write(tmp_path / "t.xlsx", ""), tmp_path / "out")
    own = write(tmp_path / "train.jsonl", '{"audio": "a.wav", "text": "가"}\n')
    with pytest.raises(UserError, match="would be overwritten"):
        prepare(CORPORA["table"], own, tmp_path)
