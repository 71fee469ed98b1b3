"""`sorigeul prepare`: what it prints, warns of and refuses."""

import json
import re
from pathlib import Path

from helpers import tones
from helpers.commands import Command
from helpers.full_disk import limited_file_size
from helpers.trees import texts_by_id, write_speakers, write_table

from sorigeul.text import spoken_form, written_form


def test_it_prints_what_it_found(sorigeul: Command, audio: Path, tmp_path: Path) -> None:
    done = sorigeul("prepare", "table", audio / "table.csv", tmp_path / "out")
    assert done.status == 0
    (warning,) = done.err.splitlines()  # of the splits that the table itself has
    assert warning.startswith("warning: dev: 1 of 4 sentences and 4 of 4 speakers are in train too")
    assert done.out.splitlines()[0].startswith("train: 40 utterances, 0.01 h, 4 speakers, ")
    assert "48 usable utterances" in done.out
    assert re.search(r"(?m)^dev: .* characters, 0 of them not in train$", done.out)
    assert str(tmp_path / "out" / "report.json") in done.out


def test_it_warns_of_what_it_rejects(sorigeul: Command, bad: dict[str, Path]) -> None:
    folder = bad["empty"].parent
    tones.record(folder / "corpus", tones.texts(12), ["train"] * 8 + ["dev", "dev", "test", "test"])
    (folder / "corpus" / "u03.wav").write_bytes(b"")
    done = sorigeul("prepare", "table", folder / "corpus" / "table.csv", folder / "out")
    assert done.status == 0
    assert "warning: rejected u03.wav (table.csv:5): " in done.err
    assert "1 rejected" in done.out


def test_its_first_line_says_that_splits_do_not_leak(sorigeul: Command, tmp_path: Path) -> None:
    done = sorigeul("prepare", "table", write_speakers(tmp_path / "in", 6), tmp_path / "out")
    assert done.out.startswith("no sentence and no speaker of dev, test is in train\ntrain: ")


def test_numbers_are_written_as_one_asks_for(sorigeul: Command, tmp_path: Path) -> None:
    spoken, written = "사백삼십 명이 세 시에 왔다", "430명이 3시에 왔다"
    rows = [(f"{split}.wav", written, split, split) for split in ("train", "dev", "test")]
    table = write_table(tmp_path / "in", rows, seconds=2.0)
    for numbers, text, form in (
        ("keep", written, ""),
        ("spoken", spoken, f"+spoken/{spoken_form.VERSION}"),
        ("written", written, f"+written/{written_form.VERSION}"),
    ):
        out = tmp_path / numbers
        done = sorigeul("prepare", "table", table, out, "--numbers", numbers)
        assert done.status == 0
        assert set(texts_by_id(out, "train", "dev", "test").values()) == {text}
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
        assert report["options"]["numbers"] == numbers
        assert report["normalizer"] == f"plain/2{form}"


def test_a_table_without_the_columns_is_refused(sorigeul: Command, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("audio,words\na.wav,hello\n", encoding="utf-8")
    done = sorigeul("prepare", "table", tmp_path / "table.csv", tmp_path / "out")
    assert done.status == 2
    assert "no column text" in done.error()
    assert "audio, words" in done.error()
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_named_with_the_remedy(
    sorigeul: Command, audio: Path, tmp_path: Path
) -> None:
    with limited_file_size(100):
        done = sorigeul("prepare", "table", audio / "table.csv", tmp_path / "out", "--jobs", "1")
    assert done.status == 1
    assert re.fullmatch(
        rf"error: {tmp_path}\S*: File too large; make room, and give the same command again\n",
        done.err,
    )
    assert not list((tmp_path / "out").glob("*.json*"))
