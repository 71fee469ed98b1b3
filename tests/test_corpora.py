"""Corpora: small real trees of every layout, prepared and read back."""

import base64
import json
import os
import random
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sorigeul import corpora
from sorigeul.corpora import PrepareOptions, Utterance, prepare
from sorigeul.corpora.manifest import cut_line
from sorigeul.corpora.splits import hold_out
from sorigeul.errors import UserError

SHARED = Path(__file__).resolve().parents[2] / "shared"
PANSORI = SHARED / "corpora" / "pansori-tedxkr"


def audio(path: Path, seconds: float = 0.5, rate: int = 16_000) -> Path:
    """Write a tone: headerless 16-bit for .pcm, else whatever the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = 0.3 * np.sin(np.arange(round(seconds * rate)) / 20)
    if path.suffix == ".pcm":
        path.write_bytes((wave * 32767).astype("<i2").tobytes())
    else:
        soundfile.write(path, wave, rate)
    return path


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


def cuts(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def texts(out: Path, *splits: str) -> dict[str, str]:
    """Id to text over the given manifests, or all of train, dev and test."""
    paths = [out / f"{split}.jsonl" for split in splits or ("train", "dev", "test")]
    return {
        cut["id"]: cut["supervisions"][0]["text"]
        for path in paths
        if path.exists()
        for cut in cuts(path)
    }


def reasons(report: corpora.Report) -> dict[str, str]:
    return {item.item: f"{item.where} | {item.reason}" for item in report.rejected}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def table(folder: Path, rows: list[tuple[str, str, str, str]], seconds: float = 0.5) -> Path:
    """A CSV of (audio, text, speaker, split) with a recording for each row."""
    for name, *_ in rows:
        audio(folder / name, seconds)
    lines = ["audio,text,speaker,split", *(",".join(row) for row in rows)]
    return write(folder / "table.csv", "\n".join(lines) + "\n")


# KsponSpeech


def kspon_scripts(root: Path, scripts: str = "KsponSpeech_scripts") -> None:
    """The layout as distributed now, with one fault of each kind in train."""
    folder = root / "KsponSpeech_01" / "KsponSpeech_0001"
    for number in (1, 2, 3, 5, 7):
        audio(folder / f"KsponSpeech_{number:06d}.pcm")
    (folder / "KsponSpeech_000006.pcm").write_bytes(b"")
    prefix = "KsponSpeech_01/KsponSpeech_0001/KsponSpeech_"
    lines = [
        f"{prefix}000001.pcm :: 아/ 몬 소리야, (70%)/(칠십 퍼센트). b/",
        f"{prefix}000002.pcm :: (70%/(칠십 퍼센트) 라고",
        f"{prefix}000003.pcm :: n/ b/",
        f"{prefix}000004.pcm :: 소리가 없다",
        "이 줄은 아니다",
        f"{prefix}000006.pcm :: 텅 빈 파일",
        f"{prefix}000001.pcm :: 또 나온다",
    ]
    write(root / scripts / "train.trn", "\n".join(lines) + "\n")
    audio(root / "KsponSpeech_02" / "KsponSpeech_0002" / "KsponSpeech_620001.pcm")
    line = "KsponSpeech_02/KsponSpeech_0002/KsponSpeech_620001.pcm :: c# 배워봤어?\n"
    write(root / scripts / "dev.trn", line)
    for split, number in (("clean", 2262), ("other", 5054)):
        path = f"KsponSpeech_eval/eval_{split}/KsponSpeech_E{number:05d}.pcm"
        with audio(root / path).open("ab") as file:
            file.write(b"\0")
        write(root / scripts / f"eval_{split}.trn", f"{path} :: 그/ 그래 {split}\n")


def test_kspon_scripts(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "in")
    out = tmp_path / "out"
    report = prepare("kspon", tmp_path / "in", out)

    assert texts(out, "train") == {"KsponSpeech_000001": "아 몬 소리야, 칠십 퍼센트."}
    assert texts(out, "dev") == {"KsponSpeech_620001": "c샾 배워봤어?"}
    assert texts(out, "eval_clean") == {"KsponSpeech_E02262": "그 그래 clean"}
    assert texts(out, "eval_other") == {"KsponSpeech_E05054": "그 그래 other"}
    assert texts(out, "test") == texts(out, "eval_clean", "eval_other")

    why = reasons(report)
    script = "KsponSpeech_scripts/train.trn"
    assert why.pop("KsponSpeech_000002").startswith(f"{script}:2 | malformed transcript: bracket")
    assert why.pop("KsponSpeech_000003") == f"{script}:3 | empty transcript"
    assert why.pop("KsponSpeech_000004").startswith(f"{script}:4 | transcript without audio")
    assert why.pop(f"{script}:5").startswith(f"{script}:5 | malformed line")
    assert "KsponSpeech_000006.pcm" in (empty := why.pop("KsponSpeech_000006"))
    assert empty.startswith(f"{script}:6 | ")
    assert why.pop("KsponSpeech_000001") == f"{script}:7 | duplicate id"
    for number in ("000005", "000007"):
        place = f"KsponSpeech_01/KsponSpeech_0001/KsponSpeech_{number}.pcm"
        assert why.pop(f"KsponSpeech_{number}") == f"{place} | audio without a transcript"
    assert not why

    assert report.normalizer == "kspon-pronunciation/1"
    assert report.split_by == "corpus"
    assert report.published == {
        "train": {"utterances": {"published": 620_000, "found": 1}},
        "dev": {"utterances": {"published": 2_545, "found": 1}},
        "eval_clean": {"utterances": {"published": 3_000, "found": 1}},
        "eval_other": {"utterances": {"published": 3_000, "found": 1}},
    }
    assert "train: 1 usable utterances; published: 620,000" in report.warnings
    assert [w for w in report.warnings if "odd byte" in w] == [
        "2 .pcm with an odd byte at the end, which is dropped: "
        "KsponSpeech_E02262, KsponSpeech_E05054"
    ]
    assert json.loads((out / "report.json").read_text("utf-8"))["splits"]["eval_clean"] == {
        "utterances": 1,
        "hours": 0.0001,
        "speakers": 0,
        "characters": 10,
        "distinct_characters": 8,
        "distinct_sentences": 1,
        "sentences_in_train": 0,
    }


def test_kspon_spelling(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "in")
    report = prepare("kspon", tmp_path / "in", tmp_path / "out", PrepareOptions(text="spelling"))
    assert texts(tmp_path / "out", "train") == {"KsponSpeech_000001": "아 몬 소리야, 70%."}
    assert texts(tmp_path / "out", "dev") == {"KsponSpeech_620001": "c# 배워봤어?"}
    assert report.normalizer == "kspon-spelling/1"


def test_kspon_scripts_moved_renamed_and_in_cp949(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "plain")
    prepare("kspon", tmp_path / "plain", tmp_path / "expected")

    moved = tmp_path / "moved"
    kspon_scripts(moved / "nested", scripts="somewhere")
    (moved / "nested" / "KsponSpeech_01").rename(moved / "train_set")
    for path in sorted((moved / "nested" / "somewhere").iterdir()):
        parts = (line.partition(" :: ") for line in path.read_text("utf-8").splitlines())
        lines = [head.replace("/", "\\") + mark + text for head, mark, text in parts]
        write(path.with_suffix(".txt"), "\r\n".join(lines), "cp949")
        path.unlink()
    report = prepare("kspon", moved, tmp_path / "out")
    for split in ("train", "dev", "test", "eval_clean", "eval_other"):
        assert texts(tmp_path / "out", split) == texts(tmp_path / "expected", split)
    assert (
        reasons(report)["KsponSpeech_000003"] == "nested/somewhere/train.txt:3 | empty transcript"
    )


def test_kspon_second_copies_are_named(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "in")
    audio(tmp_path / "in" / "copy" / "KsponSpeech_000001.pcm")
    write(tmp_path / "in" / "old" / "train.txt", "")
    report = prepare("kspon", tmp_path / "in", tmp_path / "out")
    assert "old/train.txt left aside for train.trn" in report.notes
    first = "KsponSpeech_01/KsponSpeech_0001/KsponSpeech_000001.pcm"
    assert reasons(report)["KsponSpeech_000001.pcm"] == (
        f"copy/KsponSpeech_000001.pcm | second file of this name, after {first}"
    )


def test_kspon_transcripts_beside_the_recordings(tmp_path: Path) -> None:
    for top in ("KsponSpeech_01", "KsponSpeech_02"):
        for number in range(10):
            stem = f"KsponSpeech_{top[-1]}{number:05d}"
            folder = tmp_path / "in" / "disk" / top / "KsponSpeech_0001"
            audio(folder / f"{stem}.pcm")
            write(folder / f"{stem}.txt", f"b/ 똠방 (3)/(세) 개 {number}\n", "cp949")
    folder = tmp_path / "in" / "disk" / "KsponSpeech_01" / "KsponSpeech_0001"
    (folder / "KsponSpeech_100000.txt").unlink()
    (folder / "KsponSpeech_100001.pcm").unlink()
    write(folder / "KsponSpeech_100002.txt", "유니코드 b/", "utf-8-sig")
    (folder / "KsponSpeech_100003.txt").write_bytes("가나".encode("cp949") + b"\xff\xff")
    write(folder / "KsponSpeech_100004.txt", "(3)/세) 개", "cp949")
    report = prepare("kspon", tmp_path / "in", tmp_path / "out")

    found = texts(tmp_path / "out")
    assert len(found) == 16
    assert found["KsponSpeech_100002"] == "유니코드"
    assert found["KsponSpeech_200009"] == "똠방 세 개 9"
    why = reasons(report)
    shown = "disk/KsponSpeech_01/KsponSpeech_0001/KsponSpeech_10000"
    assert why["KsponSpeech_100000"] == f"{shown}0.pcm | audio without a transcript"
    assert why["KsponSpeech_100001"].startswith(f"{shown}1.txt | transcript without audio")
    assert why["KsponSpeech_100003"].startswith(f"{shown}3.txt | KsponSpeech_100003.txt: neither")
    assert "from byte 4 on" in why["KsponSpeech_100003"]
    assert why["KsponSpeech_100004"].startswith(f"{shown}4.txt | malformed transcript")
    assert len(why) == 4

    assert report.published == {"all": {"utterances": {"published": 622_545, "found": 16}}}
    assert report.split_by == "utterance"
    assert {split: s["utterances"] for split, s in report.splits.items()} == {
        "train": 12,
        "dev": 2,
        "test": 2,
    }


def test_kspon_evaluation_folders_beside_transcripts(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "KsponSpeech_01" / "KsponSpeech_0001"
    for number in range(4):
        audio(folder / f"KsponSpeech_{number:06d}.pcm")
        write(folder / f"KsponSpeech_{number:06d}.txt", "가", "cp949")
    for split in ("eval_clean", "eval_other"):
        stem = tmp_path / "in" / "KsponSpeech_eval" / split / f"KsponSpeech_E_{split}"
        audio(stem.with_suffix(".pcm"))
        write(stem.with_suffix(".txt"), "나", "cp949")
    report = prepare("kspon", tmp_path / "in", tmp_path / "out")
    assert {split: s["utterances"] for split, s in report.splits.items()} == {
        "train": 3,
        "dev": 1,
        "test": 2,
        "eval_clean": 1,
        "eval_other": 1,
    }
    assert report.published["all"]["utterances"] == {"published": 628_545, "found": 6}


def test_kspon_flat_folder_with_lists(tmp_path: Path) -> None:
    flat = tmp_path / "in" / "data"
    for number in range(1, 13):
        audio(flat / f"KaiSpeech_{number:06d}.pcm")
        write(flat / f"KaiSpeech_{number:06d}.txt", f"이미 깨끗한 {number}번", "cp949")
        write(flat / f"KaiSpeech_label_{number:06d}.txt", "1 2 3")
    row = "KaiSpeech_{0:06d}.pcm,KaiSpeech_label_{0:06d}.txt"
    train = ["pcm-filename,txt-filename", *(row.format(n) for n in range(1, 11)), "KaiSpeech_1.pcm"]
    write(tmp_path / "in" / "train_list.csv", "\n".join(train))
    write(tmp_path / "in" / "test_list.csv", "KaiSpeech_000011.pcm,KaiSpeech_000011.txt\n")
    report = prepare("kspon", tmp_path / "in", tmp_path / "out")

    assert texts(tmp_path / "out", "test") == {"KaiSpeech_000011": "이미 깨끗한 11번"}
    assert len(texts(tmp_path / "out", "dev")) == 1
    assert len(texts(tmp_path / "out", "train")) == 9
    why = reasons(report)
    assert why["train_list.csv:12"].startswith("train_list.csv:12 | malformed line")
    assert why["KaiSpeech_000012"] == "data/KaiSpeech_000012.pcm | audio without a transcript"
    assert len(why) == 2


def test_kspon_unrecognised(tmp_path: Path) -> None:
    audio(tmp_path / "in" / "a.pcm")
    with pytest.raises(
        UserError, match=r"not KsponSpeech; it should hold KsponSpeech_scripts/"
    ) as e:
        prepare("kspon", tmp_path / "in", tmp_path / "out")
    assert "train_list.csv" in str(e.value)
    assert ".txt of the same name" in str(e.value)
    assert not (tmp_path / "out").exists()


def test_folder_names_that_are_not_text(tmp_path: Path) -> None:
    """An archive of AI Hub unpacked on Linux leaves folder names in CP949."""
    folder = os.fsencode(tmp_path / "in") + b"/" + "음성".encode("cp949")
    try:
        os.makedirs(folder)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    stem = Path(os.fsdecode(folder)) / "KsponSpeech_000001"
    audio(stem.with_suffix(".pcm"))
    write(stem.with_suffix(".txt"), "그래", "cp949")
    audio(stem.with_name("KsponSpeech_000002.pcm"))
    report = prepare("kspon", tmp_path / "in", tmp_path / "out")
    source = cuts(tmp_path / "out" / "train.jsonl")[0]["recording"]["sources"][0]["source"]
    assert Path(source).is_file()
    assert [item.item for item in report.rejected] == ["KsponSpeech_000002"]


# Other corpora


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
    report = prepare("pansori", tmp_path / "in", tmp_path / "out")
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
    report = prepare("pansori", PANSORI, tmp_path)
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
    report = prepare("zeroth", tmp_path / "in", tmp_path / "out")
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
    report = prepare("clovacall", tmp_path / "in", tmp_path / "out")
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
        prepare("clovacall", tmp_path / "out", tmp_path / "other")


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
    report = prepare("commonvoice", tmp_path, tmp_path / "out")
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
        prepare("commonvoice", tmp_path, tmp_path / "out")


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
    report = prepare("fleurs", tmp_path / "in", tmp_path / "out")
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
    report = prepare("table", path, tmp_path / "out")
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
        prepare("table", path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_table_rows_that_are_none(tmp_path: Path) -> None:
    for name in "abc":
        audio(tmp_path / f"{name}.wav")
    jsonl = '{"audio": "a.wav", "text": "가"}\n{oops\n[1]\n\n{"audio": "b.wav"}\n'
    report = prepare("table", write(tmp_path / "t.jsonl", jsonl), tmp_path / "out1")
    assert [item.where for item in report.rejected] == ["t.jsonl:2", "t.jsonl:3", "t.jsonl:5"]
    assert report.rejected[2].reason == "audio or text is missing"

    csv = 'audio,text\na.wav,"가, 나"\nb.wav,가,나\nc.wav\n'
    report = prepare("table", write(tmp_path / "t.csv", csv), tmp_path / "out2")
    assert texts(tmp_path / "out2") == {"a.wav": "가, 나"}
    assert [item.where for item in report.rejected] == ["t.csv:3", "t.csv:4"]

    stray = 'audio,text\na.wav,"가\nb.wav,"나"\n'
    with pytest.raises(UserError, match=r"t\.csv:3: not a readable table"):
        prepare("table", write(tmp_path / "t.csv", stray), tmp_path / "out3")


def test_table_with_decomposed_file_names(tmp_path: Path) -> None:
    audio(tmp_path / unicodedata.normalize("NFD", "녹음.wav"))
    path = write(tmp_path / "t.csv", "audio,text\n녹음.wav,가\n")
    prepare("table", path, tmp_path / "out")
    source = cuts(tmp_path / "out" / "train.jsonl")[0]["recording"]["sources"][0]["source"]
    assert Path(source).is_file()


def test_table_must_be_a_table(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"give a \.csv, \.tsv or \.jsonl table with audio and text"
    ):
        prepare("table", tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match=r"ends in \.csv, \.tsv or \.jsonl, not '\.xlsx'"):
        prepare("table", write(tmp_path / "t.xlsx", ""), tmp_path / "out")
    own = write(tmp_path / "train.jsonl", '{"audio": "a.wav", "text": "가"}\n')
    with pytest.raises(UserError, match="would be overwritten"):
        prepare("table", own, tmp_path)


# Preparing


def test_manifests_are_lhotse_cuts(tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    audio(tmp_path / "a.wav", 1.23456, rate=44_100)
    path = write(tmp_path / "t.csv", "audio,text,speaker\na.wav,그래,나\n")
    prepare("table", path, tmp_path / "out")
    (cut,) = lhotse.CutSet.from_jsonl_lazy(tmp_path / "out" / "train.jsonl")
    lhotse.validate(cut)
    assert isinstance(cut, lhotse.MonoCut)
    assert (cut.id, cut.sampling_rate, cut.num_samples) == ("a.wav", 16_000, 19_753)
    assert cut.duration == pytest.approx(1.23456, abs=1 / 16_000)
    (supervision,) = cut.supervisions
    assert (supervision.text, supervision.speaker) == ("그래", "나")
    assert (supervision.language, supervision.normalizer) == ("Korean", "plain/1")
    (source,) = cut.recording.sources
    assert (source.type, source.source) == ("file", str(tmp_path / "a.wav"))


def test_recordings_that_cannot_be_used(tmp_path: Path) -> None:
    audio(tmp_path / "good.wav")
    audio(tmp_path / "long.wav", 2.5)
    audio(tmp_path / "short.wav", 0.09)
    write(tmp_path / "empty.wav", "")
    write(tmp_path / "words.wav", "이것은 소리가 아니다" * 100)
    audio(tmp_path / "silent.wav")
    (tmp_path / "folder.wav").mkdir()
    names = ["good", "long", "short", "empty", "words", "folder", "gone", "good"]
    lines = ["audio,text", *(f"{name}.wav,말" for name in names), "silent.wav, "]
    path = write(tmp_path / "t.csv", "\n".join(lines))
    report = prepare("table", path, tmp_path / "out", PrepareOptions(max_duration=2))
    assert texts(tmp_path / "out") == {"good.wav": "말"}
    assert [(item.item, item.where) for item in report.rejected] == [
        ("long.wav", "t.csv:3"),
        ("short.wav", "t.csv:4"),
        ("empty.wav", "t.csv:5"),
        ("words.wav", "t.csv:6"),
        ("folder.wav", "t.csv:7"),
        ("gone.wav", "t.csv:8"),
        ("good.wav", "t.csv:9"),
        ("silent.wav", "t.csv:10"),
    ]
    why = [item.reason for item in report.rejected]
    assert why[0] == "2.50 s long, over 2 s"
    assert why[1] == "0.090 s long, under 0.1 s"
    assert why[2].startswith(str(tmp_path / "empty.wav"))
    assert why[3].startswith(str(tmp_path / "words.wav"))
    assert why[6:] == ["duplicate id", "empty transcript"]


def many(folder: Path, speakers: int, each: int = 4, split: str = "") -> Path:
    named = [
        (f"{s}-{n}.wav", f"말 {s} {n}", f"화자{s}") for s in range(speakers) for n in range(each)
    ]
    return table(folder, [(*row, split) for row in named], seconds=0.12)


def test_split_by_speaker_is_disjoint(tmp_path: Path) -> None:
    source = many(tmp_path / "in", speakers=20)
    report = prepare("table", source, tmp_path / "out")
    voices = [
        {cut["supervisions"][0]["speaker"] for cut in cuts(tmp_path / "out" / f"{split}.jsonl")}
        for split in ("train", "dev", "test")
    ]
    assert [len(speakers) for speakers in voices] == [16, 2, 2]
    assert len(set().union(*voices)) == 20
    assert report.split_by == "speaker"
    other = prepare("table", source, tmp_path / "other", PrepareOptions(seed=1))
    assert other.seed == 1
    assert texts(tmp_path / "other", "test") != texts(tmp_path / "out", "test")
    assert texts(tmp_path / "other") == texts(tmp_path / "out")


@pytest.mark.parametrize(("speakers", "split_by"), [(3, "speaker"), (2, "utterance")])
def test_few_speakers(tmp_path: Path, speakers: int, split_by: str) -> None:
    report = prepare("table", many(tmp_path / "in", speakers, each=10), tmp_path / "out")
    assert report.split_by == split_by
    assert set(report.splits) == {"train", "dev", "test"}
    assert any("voices of dev and test" in w for w in report.warnings) == (split_by == "utterance")
    assert sum(s["utterances"] for s in report.splits.values()) == 10 * speakers


def test_what_is_given_stays_and_the_rest_is_drawn_from_train(tmp_path: Path) -> None:
    rows = [(f"{n}.wav", f"말 {n}", f"화자{n % 5}", "train") for n in range(20)]
    rows += [(f"{n}.wav", f"말 {n}", "시험", "test") for n in range(20, 23)]
    rows += [(f"{n}.wav", f"말 {n}", "", "") for n in range(23, 25)]
    report = prepare("table", table(tmp_path / "in", rows, 0.12), tmp_path / "out")
    assert set(texts(tmp_path / "out", "test")) == {"20.wav", "21.wav", "22.wav"}
    assert report.splits["dev"]["utterances"] + report.splits["train"]["utterances"] == 22
    assert report.splits["dev"]["utterances"] > 0
    assert "2 utterances name no speaker; they were kept together as one" in report.warnings


def test_a_test_set_alone(tmp_path: Path) -> None:
    report = prepare("table", many(tmp_path / "in", 3, 1, "test"), tmp_path / "out")
    assert sorted(snapshot(tmp_path / "out")) == ["report.json", "test.jsonl"]
    assert {"no utterance in train", "no utterance in dev"} <= set(report.warnings)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    """Across processes too, whose hashes of strings differ."""
    source = many(tmp_path / "in", speakers=6)
    prepare("table", source, tmp_path / "out")
    first = snapshot(tmp_path / "out")
    code = (
        "import sys; from pathlib import Path; from sorigeul.corpora import prepare;"
        "prepare('table', Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, source, tmp_path / "out"],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert snapshot(tmp_path / "out") == first


def test_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare("table", many(tmp_path / "in", speakers=6), tmp_path / "out")
    before = snapshot(tmp_path / "out")
    again = many(tmp_path / "again", speakers=8)

    written = []

    def disk_full(utterance: Utterance, normalizer: str) -> str:
        written.append(utterance)
        if len(written) == 30:
            raise OSError(28, "No space left on device")
        return cut_line(utterance, normalizer)

    monkeypatch.setattr("sorigeul.corpora.cut_line", disk_full)
    with pytest.raises(OSError, match="No space left"):
        prepare("table", again, tmp_path / "out")
    assert snapshot(tmp_path / "out") == before
    written.clear()
    with pytest.raises(OSError, match="No space left"):
        prepare("table", again, tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())


def test_manifests_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "kspon")
    prepare("kspon", tmp_path / "kspon", tmp_path / "out")
    prepare("table", many(tmp_path / "in", speakers=3), tmp_path / "out")
    assert sorted(snapshot(tmp_path / "out")) == [
        "dev.jsonl",
        "report.json",
        "test.jsonl",
        "train.jsonl",
    ]


@pytest.mark.parametrize("corpus", sorted(set(corpora.READERS) - {"demo", "table"}))
def test_missing_and_empty_sources(tmp_path: Path, corpus: str) -> None:
    out = tmp_path / "out"
    (tmp_path / "empty").mkdir()
    for source in (None, tmp_path / "missing", tmp_path / "empty"):
        with pytest.raises(UserError, match=r"should hold \S+") as raised:
            prepare(corpus, source, out)
        assert "\n" not in str(raised.value)
        assert source is None or str(source) in str(raised.value)
    assert not out.exists()


def test_nothing_usable_names_the_first_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "audio,text\na.wav,가\nb.wav,나\n")
    with pytest.raises(
        UserError, match=r"none of its 2 items .* first, t\.csv:2: transcript without"
    ):
        prepare("table", path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unknown_corpus_and_wrong_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no corpus 'librispeech'; choose one of kspon, zeroth"):
        prepare("librispeech", tmp_path, tmp_path)
    with pytest.raises(UserError, match="is a file"):
        prepare("pansori", tmp_path, write(tmp_path / "file", ""))


@pytest.mark.parametrize(
    "wrong",
    [
        {"dev_share": 0},
        {"dev_share": 0.5, "test_share": 0.5},
        {"max_duration": 0.1},
        {"utterances": 0},
    ],
)
def test_options_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=str(next(iter(wrong)))):
        PrepareOptions(**wrong)


def test_links_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    kspon_scripts(tmp_path / "disk")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "disk", target_is_directory=True)
    report = prepare("kspon", tmp_path / "in", tmp_path / "out")
    assert report.splits["train"]["utterances"] == 1
    assert not [item for item in report.rejected if "second file" in item.reason]


SECONDS = st.dictionaries(st.text(max_size=3), st.floats(0.1, 1000), min_size=1, max_size=40)


@given(SECONDS, st.integers(0, 9))
def test_hold_out_properties(seconds: dict[str, float], seed: int) -> None:
    shares = {"dev": 0.1, "test": 0.1}
    held = hold_out(seconds, shares, seed)
    assert set(held) <= set(seconds)
    shuffled = list(seconds.items())
    random.Random(seed + 1).shuffle(shuffled)
    assert hold_out(dict(shuffled), shares, seed) == held
    assert len(held) < len(seconds)
    if len(seconds) >= 3:
        assert set(held.values()) == {"dev", "test"}


def test_hold_out_comes_near_the_shares() -> None:
    rng = random.Random(0)
    seconds = {str(n): rng.uniform(1, 20) for n in range(300)}
    held = hold_out(seconds, {"dev": 0.1, "test": 0.2}, seed=0)

    def share(split: str) -> float:
        return sum(s for n, s in seconds.items() if held.get(n) == split) / sum(seconds.values())

    assert share("dev") == pytest.approx(0.1, abs=0.002)
    assert share("test") == pytest.approx(0.2, abs=0.002)


def test_import_costs_no_torch() -> None:
    code = "import sys, sorigeul.corpora, sorigeul.vocabulary; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"torch", "lhotse"} & set(modules.stdout.split())
