"""KsponSpeech: small real trees of every layout, prepared and read back."""

import json
import os
from pathlib import Path

import pytest
from helpers.trees import (
    read_cuts,
    rejections,
    texts_by_id,
    write_kspon_scripts,
    write_text,
    write_tone,
)

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare


def test_scripts_give_the_pronunciation_and_every_fault_is_rejected_with_its_line(
    tmp_path: Path,
) -> None:
    write_kspon_scripts(tmp_path / "in")
    out = tmp_path / "out"
    report = prepare(CORPORA["kspon"], tmp_path / "in", out)

    assert texts_by_id(out, "train") == {"KsponSpeech_000001": "아 몬 소리야, 칠십 퍼센트."}
    assert texts_by_id(out, "dev") == {"KsponSpeech_620001": "c샾 배워봤어?"}
    assert texts_by_id(out, "eval_clean") == {"KsponSpeech_E02262": "그 그래 clean"}
    assert texts_by_id(out, "eval_other") == {"KsponSpeech_E05054": "그 그래 other"}
    assert texts_by_id(out, "test") == texts_by_id(out, "eval_clean", "eval_other")

    reasons = rejections(report)
    script = "KsponSpeech_scripts/train.trn"
    assert reasons.pop("KsponSpeech_000002").startswith(
        f"{script}:2 | malformed transcript: bracket"
    )
    assert reasons.pop("KsponSpeech_000003") == f"{script}:3 | empty transcript"
    assert reasons.pop("KsponSpeech_000004").startswith(f"{script}:4 | transcript without audio")
    assert reasons.pop(f"{script}:5").startswith(f"{script}:5 | malformed line")
    assert "KsponSpeech_000006.pcm" in (empty := reasons.pop("KsponSpeech_000006"))
    assert empty.startswith(f"{script}:6 | ")
    assert reasons.pop("KsponSpeech_000001") == f"{script}:7 | duplicate id"
    for number in ("000005", "000007"):
        place = f"KsponSpeech_01/KsponSpeech_0001/KsponSpeech_{number}.pcm"
        assert reasons.pop(f"KsponSpeech_{number}") == f"{place} | audio without a transcript"
    assert not reasons

    assert report.normalizer == "kspon-pronunciation/2"
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
        "characters_not_in_train": 8,
        "distinct_sentences": 1,
        "sentences_in_train": 0,
    }


def test_the_spelling_is_kept_if_asked_for(tmp_path: Path) -> None:
    write_kspon_scripts(tmp_path / "in")
    report = prepare(
        CORPORA["kspon"], tmp_path / "in", tmp_path / "out", PrepareOptions(text="spelling")
    )
    assert texts_by_id(tmp_path / "out", "train") == {"KsponSpeech_000001": "아 몬 소리야, 70%."}
    assert texts_by_id(tmp_path / "out", "dev") == {"KsponSpeech_620001": "c# 배워봤어?"}
    assert report.normalizer == "kspon-spelling/2"


def test_scripts_may_be_moved_renamed_and_in_cp949(tmp_path: Path) -> None:
    write_kspon_scripts(tmp_path / "plain")
    prepare(CORPORA["kspon"], tmp_path / "plain", tmp_path / "expected")

    moved = tmp_path / "moved"
    write_kspon_scripts(moved / "nested", scripts="somewhere")
    (moved / "nested" / "KsponSpeech_01").rename(moved / "train_set")
    for path in sorted((moved / "nested" / "somewhere").iterdir()):
        parts = (line.partition(" :: ") for line in path.read_text("utf-8").splitlines())
        lines = [head.replace("/", "\\") + mark + text for head, mark, text in parts]
        write_text(path.with_suffix(".txt"), "\r\n".join(lines), "cp949")
        path.unlink()
    report = prepare(CORPORA["kspon"], moved, tmp_path / "out")
    for split in ("train", "dev", "test", "eval_clean", "eval_other"):
        assert texts_by_id(tmp_path / "out", split) == texts_by_id(tmp_path / "expected", split)
    assert (
        rejections(report)["KsponSpeech_000003"]
        == "nested/somewhere/train.txt:3 | empty transcript"
    )


def test_second_copies_of_scripts_and_recordings_are_named(tmp_path: Path) -> None:
    write_kspon_scripts(tmp_path / "in")
    write_tone(tmp_path / "in" / "copy" / "KsponSpeech_000001.pcm")
    write_text(tmp_path / "in" / "old" / "train.txt", "")
    report = prepare(CORPORA["kspon"], tmp_path / "in", tmp_path / "out")
    assert "old/train.txt left aside for train.trn" in report.notes
    first = "KsponSpeech_01/KsponSpeech_0001/KsponSpeech_000001.pcm"
    assert rejections(report)["KsponSpeech_000001.pcm"] == (
        f"copy/KsponSpeech_000001.pcm | second file of this name, after {first}"
    )


def test_transcripts_beside_the_recordings_are_read(tmp_path: Path) -> None:
    for top in ("KsponSpeech_01", "KsponSpeech_02"):
        for number in range(10):
            stem = f"KsponSpeech_{top[-1]}{number:05d}"
            folder = tmp_path / "in" / "disk" / top / "KsponSpeech_0001"
            write_tone(folder / f"{stem}.pcm")
            write_text(folder / f"{stem}.txt", f"b/ 똠방 (3)/(세) 개 {number}\n", "cp949")
    folder = tmp_path / "in" / "disk" / "KsponSpeech_01" / "KsponSpeech_0001"
    (folder / "KsponSpeech_100000.txt").unlink()
    (folder / "KsponSpeech_100001.pcm").unlink()
    write_text(folder / "KsponSpeech_100002.txt", "유니코드 b/", "utf-8-sig")
    (folder / "KsponSpeech_100003.txt").write_bytes("가나".encode("cp949") + b"\xff\xff")
    write_text(folder / "KsponSpeech_100004.txt", "(3)/세) 개", "cp949")
    report = prepare(CORPORA["kspon"], tmp_path / "in", tmp_path / "out")

    found = texts_by_id(tmp_path / "out")
    assert len(found) == 16
    assert found["KsponSpeech_100002"] == "유니코드"
    assert found["KsponSpeech_200009"] == "똠방 세 개 9"
    reasons = rejections(report)
    shown = "disk/KsponSpeech_01/KsponSpeech_0001/KsponSpeech_10000"
    assert reasons["KsponSpeech_100000"] == f"{shown}0.pcm | audio without a transcript"
    assert reasons["KsponSpeech_100001"].startswith(f"{shown}1.txt | transcript without audio")
    assert reasons["KsponSpeech_100003"].startswith(
        f"{shown}3.txt | KsponSpeech_100003.txt: neither"
    )
    assert "from byte 4 on" in reasons["KsponSpeech_100003"]
    assert reasons["KsponSpeech_100004"].startswith(f"{shown}4.txt | malformed transcript")
    assert len(reasons) == 4

    assert report.published == {"all": {"utterances": {"published": 622_545, "found": 16}}}
    assert report.split_by == "sentence"
    assert {split: counts["utterances"] for split, counts in report.splits.items()} == {
        "train": 12,
        "dev": 2,
        "test": 2,
    }


def test_evaluation_folders_are_recognised_where_transcripts_are_beside_the_recordings(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "in" / "KsponSpeech_01" / "KsponSpeech_0001"
    for number in range(4):
        write_tone(folder / f"KsponSpeech_{number:06d}.pcm")
        write_text(folder / f"KsponSpeech_{number:06d}.txt", "가", "cp949")
    for split in ("eval_clean", "eval_other"):
        stem = tmp_path / "in" / "KsponSpeech_eval" / split / f"KsponSpeech_E_{split}"
        write_tone(stem.with_suffix(".pcm"))
        write_text(stem.with_suffix(".txt"), "나", "cp949")
    report = prepare(CORPORA["kspon"], tmp_path / "in", tmp_path / "out")
    assert {split: counts["utterances"] for split, counts in report.splits.items()} == {
        "train": 3,
        "dev": 1,
        "test": 2,
        "eval_clean": 1,
        "eval_other": 1,
    }
    assert report.published["all"]["utterances"] == {"published": 628_545, "found": 6}


def test_a_flat_folder_with_lists_is_read(tmp_path: Path) -> None:
    flat = tmp_path / "in" / "data"
    for number in range(1, 13):
        write_tone(flat / f"KaiSpeech_{number:06d}.pcm")
        write_text(flat / f"KaiSpeech_{number:06d}.txt", f"이미 깨끗한 {number}번", "cp949")
        write_text(flat / f"KaiSpeech_label_{number:06d}.txt", "1 2 3")
    row = "KaiSpeech_{0:06d}.pcm,KaiSpeech_label_{0:06d}.txt"
    train = ["pcm-filename,txt-filename", *(row.format(n) for n in range(1, 11)), "KaiSpeech_1.pcm"]
    train.append("가" * 131_073 + ",a.txt")  # more than the csv module reads
    write_text(tmp_path / "in" / "train_list.csv", "\n".join(train))
    write_text(tmp_path / "in" / "test_list.csv", "KaiSpeech_000011.pcm,KaiSpeech_000011.txt\n")
    report = prepare(CORPORA["kspon"], tmp_path / "in", tmp_path / "out")

    assert texts_by_id(tmp_path / "out", "test") == {"KaiSpeech_000011": "이미 깨끗한 11번"}
    assert len(texts_by_id(tmp_path / "out", "dev")) == 1
    assert len(texts_by_id(tmp_path / "out", "train")) == 9
    reasons = rejections(report)
    assert reasons["train_list.csv:12"].startswith("train_list.csv:12 | malformed line")
    assert reasons["KaiSpeech_000012"] == "data/KaiSpeech_000012.pcm | audio without a transcript"
    assert reasons["train_list.csv:13"].startswith("train_list.csv:13 | malformed line")
    assert len(reasons) == 3


def test_another_folder_is_refused_with_the_expected_layouts(tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "a.pcm")
    with pytest.raises(
        UserError, match=r"not KsponSpeech; it should hold KsponSpeech_scripts/"
    ) as raised:
        prepare(CORPORA["kspon"], tmp_path / "in", tmp_path / "out")
    assert "train_list.csv" in str(raised.value)
    assert ".txt of the same name" in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_folder_names_that_are_not_utf_8_are_usable(tmp_path: Path) -> None:
    """An archive of AI Hub unpacked on Linux leaves folder names in CP949."""
    folder = os.fsencode(tmp_path / "in") + b"/" + "음성".encode("cp949")
    try:
        os.makedirs(folder)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    stem = Path(os.fsdecode(folder)) / "KsponSpeech_000001"
    write_tone(stem.with_suffix(".pcm"))
    write_text(stem.with_suffix(".txt"), "그래", "cp949")
    write_tone(stem.with_name("KsponSpeech_000002.pcm"))
    report = prepare(CORPORA["kspon"], tmp_path / "in", tmp_path / "out")
    source = read_cuts(tmp_path / "out" / "train.jsonl")[0]["recording"]["sources"][0]["source"]
    assert Path(source).is_file()
    assert [rejected.item for rejected in report.rejected] == ["KsponSpeech_000002"]
