"""`sorigeul transcribe`: every format and way in, and what cannot be heard."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import Command, in_a_process

from sorigeul import Recognizer
from sorigeul.recognition.writers import WRITERS


@pytest.mark.parametrize("kind", WRITERS)
def test_transcribe_writes_every_format(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path, kind: str
) -> None:
    expected = WRITERS[kind](Recognizer.from_pretrained(run).transcribe(audio / "u09.wav"))
    printed = sorigeul("transcribe", run, audio / "u09.wav", "--format", kind)
    assert (printed.status, printed.out) == (0, expected)
    out = tmp_path / "texts"
    done = sorigeul("transcribe", run, audio / "u09.wav", "--format", kind, "--out", out)
    assert (done.status, done.out) == (0, "")
    assert [path.name for path in out.iterdir()] == [f"u09.wav.{kind}"]
    assert (out / f"u09.wav.{kind}").read_text(encoding="utf-8") == expected


def test_one_bad_file_does_not_keep_the_others_from_being_heard(
    run: Path, audio: Path, bad: dict[str, Path], tmp_path: Path
) -> None:
    good = [audio / "u09.wav", audio / "u10.wav"]
    out = tmp_path / "texts"
    done = in_a_process("transcribe", run, good[0], bad["other"], good[1], "--out", out)
    assert (done.status, done.out) == (2, "")
    assert done.error() == "1 of 3 recordings could not be read, as said above"
    told = [line for line in done.err.splitlines() if str(bad["other"]) in line]
    assert len(told) == 1
    assert told[0].startswith("warning: ")
    assert sorted(path.name for path in out.iterdir()) == ["u09.wav.txt", "u10.wav.txt"]
    assert all(path.read_text(encoding="utf-8").strip() for path in out.iterdir())


def test_several_files_are_told_apart(sorigeul: Command, run: Path, audio: Path) -> None:
    paths = [audio / "u09.wav", audio / "u10.wav"]
    lines = sorigeul("transcribe", run, *paths).out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in paths]


def test_no_transcript_takes_the_place_of_another(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = shutil.copy(audio / "u10.wav", tmp_path / "other" / "u09.wav")
    done = sorigeul("transcribe", run, audio / "u09.wav", other, "--out", tmp_path / "texts")
    assert done.status == 2
    assert "several recordings have one name" in done.error()
    assert not (tmp_path / "texts").exists()
    assert sorigeul("transcribe", run, audio / "u09.wav", other).status == 0


def test_a_recording_may_come_from_standard_input(run: Path, audio: Path) -> None:
    path = audio / "u09.wav"
    done = in_a_process("transcribe", run, "-", "--format", "json", stdin=path.read_bytes())
    assert (done.status, done.err) == (0, "")
    expected: dict[str, Any] = json.loads(
        WRITERS["json"](Recognizer.from_pretrained(run).transcribe(path))
    )
    found = json.loads(done.out)
    assert found["text"] == expected["text"]
    assert [one["end"] for one in found["segments"]] == [expected["duration"]]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("empty", "the file is empty"),
        ("silent", "only silence"),
        ("other", "not a recording"),
        ("short", "holds no sound"),
    ],
)
def test_what_cannot_be_heard_is_told(
    sorigeul: Command, run: Path, bad: dict[str, Path], kind: str, said: str
) -> None:
    done = sorigeul("transcribe", run, bad[kind])
    assert (done.status, done.out) == (2, "")
    assert done.error().startswith(f"{bad[kind]}: ")
    assert said in done.error()


def test_what_is_not_there_is_told(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    done = sorigeul("transcribe", run, tmp_path / "none.wav")
    assert done.status == 2
    assert done.error().startswith(f"{tmp_path / 'none.wav'}: cannot be opened")
    assert "Is a directory" in sorigeul("transcribe", run, audio).error()
    done = sorigeul("transcribe", run)
    assert done.status == 2
    assert "no recording" in done.error()


def test_attention_is_drawn_on_request(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    done = sorigeul("transcribe", run, audio / "u09.wav", "--attention", tmp_path / "a.png")
    assert done.status == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--manifest data", "--manifest needs --out FILE"),
        ("a.wav --manifest data --out o.jsonl", "--manifest excludes FILE…"),
        ("--manifest data --out o.jsonl --format srt", "excludes FILE…, --format and --attention"),
        ("--manifest data --out o.jsonl --attention a.png", "--format and --attention: it writes"),
        ("--manifest data --out o.jsonl --batch_seconds -1", "batch_seconds is -1, but must be 0 "),
        ("--manifest data --out o.jsonl --jobs -1", "jobs is -1, but must be 0 or more"),
        ("--manifest data --out o.jsonl", "data: cannot be read (No such file or directory)"),
        ("a.wav --split test", "--split, --audio_root, --batch_seconds and --jobs go with --manif"),
        ("a.wav --jobs 2", "go with --manifest"),
        ("", "no recording given: sorigeul transcribe RUN FILE…, or --manifest DATA --out FILE"),
    ],
)
def test_options_that_do_not_go_together_are_told_apart(
    sorigeul: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sorigeul("transcribe", "run", *options.split())
    assert (done.status, done.out) == (2, "")
    assert said in done.error()
    assert not list(tmp_path.iterdir())


def test_the_help_breaks_its_lines_where_they_are_full_and_tells_no_empty_defaults() -> None:
    said = in_a_process("transcribe", "--help", COLUMNS="80").out
    assert (
        """
│ --out OUT        folder for the transcripts of FILE…, named like the         │
│                  recordings; if not given they are printed. With --manifest: │
│                  the file to write, a line of JSON for each recording        │
"""
        in said
    )
    assert "torchrun --nproc-per-node 8 -m sorigeul transcribe RUN --manifest DATA" in said
    assert re.findall(r"\(default: (.*?)\)", said) == ["txt", "0.0", "0", "float32", "0"]
