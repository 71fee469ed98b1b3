"""`sorigeul evaluate` and `transcribe`: formats, inputs, and recordings that are refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers import tones
from helpers.commands import Command, in_a_process

from sorigeul import Recognizer
from sorigeul.recognition.writers import WRITERS

RESULT_KEYS = {
    "crr",
    "cer",
    "cer_no_space",
    "wer",
    "swer",
    "utterances",
    "reference_characters",
    "normalizer",
}
"""Keys of `evaluate --json` that users rely on."""


# evaluate


def test_evaluate_counts_unreadable_recordings_as_errors_and_prints_only_json(
    run: Path, tmp_path: Path
) -> None:
    folder = tones.manifests(tmp_path, tones.texts(6), ["test"] * 6)
    (tmp_path / "audio" / "u02.wav").unlink()
    done = in_a_process("evaluate", run, folder, "--json", "-")
    assert done.status == 0
    results = json.loads(done.out)
    assert results.keys() >= RESULT_KEYS
    assert results["utterances"] == 6
    assert results["reference_characters"] == len("".join(tones.texts(6)))
    assert results["normalizer"] == "plain/1"
    assert list(results["failures"]) == ["u02.wav"]
    assert results["cer_no_space"] >= 100 * len(tones.texts(6)[2]) / results["reference_characters"]
    (warning,) = done.err.splitlines()
    assert warning.startswith("warning: u02.wav counts as recognised as nothing: ")


def test_evaluate_prints_the_results_and_the_worst_utterances(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    done = sorigeul("evaluate", run, corpus, "--worst", "2", "--json", tmp_path / "a" / "b.json")
    assert (done.status, done.err) == (0, "")
    results = json.loads((tmp_path / "a" / "b.json").read_text(encoding="utf-8"))
    for name in RESULT_KEYS:
        value = results[name]
        shown = f"{value:.2f}" if isinstance(value, float) else str(value)
        assert f"\n{name}: {shown}\n" in f"\n{done.out}"
    assert done.out.count("\nREF: ") == done.out.count("\nHYP: ") == 2


def test_evaluate_takes_a_split_or_a_manifest(sorigeul: Command, run: Path, corpus: Path) -> None:
    by_split = sorigeul("evaluate", run, corpus, "--split", "dev", "--json", "-")
    by_file = sorigeul("evaluate", run, corpus / "dev.jsonl", "--json", "-")
    assert json.loads(by_split.out) == json.loads(by_file.out)
    done = sorigeul("evaluate", run, corpus, "--split", "eval_clean")
    assert done.status == 2
    assert "found: dev, test, train" in done.error()
    done = sorigeul("evaluate", corpus, run)
    assert done.status == 2
    assert f"{corpus} holds no finished model" in done.error()


def test_evaluate_warns_of_another_normaliser(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    manifest = (corpus / "dev.jsonl").read_text(encoding="utf-8")
    (tmp_path / "dev.jsonl").write_text(manifest.replace("plain/1", "other/2"), encoding="utf-8")
    done = sorigeul("evaluate", run, tmp_path / "dev.jsonl", "--json", "-")
    assert json.loads(done.out)["normalizer"] == "other/2"
    assert done.err == "warning: trained on plain/1 text, evaluated on other/2 text\n"


# transcribe


@pytest.mark.parametrize("format_name", WRITERS)
def test_transcribe_writes_every_format(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path, format_name: str
) -> None:
    transcription = Recognizer.from_pretrained(run).transcribe(audio / "u09.wav")
    expected = WRITERS[format_name](transcription)
    printed = sorigeul("transcribe", run, audio / "u09.wav", "--format", format_name)
    assert (printed.status, printed.out) == (0, expected)
    out = tmp_path / "texts"
    done = sorigeul("transcribe", run, audio / "u09.wav", "--format", format_name, "--out", out)
    assert (done.status, done.out) == (0, "")
    assert [path.name for path in out.iterdir()] == [f"u09.wav.{format_name}"]
    assert (out / f"u09.wav.{format_name}").read_text(encoding="utf-8") == expected


def test_one_bad_file_does_not_prevent_the_transcription_of_the_others(
    run: Path, audio: Path, bad: dict[str, Path], tmp_path: Path
) -> None:
    good = [audio / "u09.wav", audio / "u10.wav"]
    out = tmp_path / "texts"
    done = in_a_process("transcribe", run, good[0], bad["other"], good[1], "--out", out)
    assert (done.status, done.out) == (2, "")
    assert done.error() == "1 of 3 recordings could not be read, as said above"
    (line,) = [line for line in done.err.splitlines() if str(bad["other"]) in line]
    assert line.startswith("warning: ")
    assert sorted(path.name for path in out.iterdir()) == ["u09.wav.txt", "u10.wav.txt"]
    assert all(path.read_text(encoding="utf-8").strip() for path in out.iterdir())


def test_transcripts_of_several_files_are_labelled_with_their_paths(
    sorigeul: Command, run: Path, audio: Path
) -> None:
    paths = [audio / "u09.wav", audio / "u10.wav"]
    lines = sorigeul("transcribe", run, *paths).out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(path) for path in paths]


def test_no_transcript_overwrites_another(
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
    transcript = json.loads(done.out)
    assert transcript["text"] == expected["text"]
    assert [segment["end"] for segment in transcript["segments"]] == [expected["duration"]]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "the file is empty"),
        ("silent", "only silence"),
        ("other", "not a recording"),
        ("short", "holds no sound"),
    ],
)
def test_a_file_without_sound_is_refused(
    sorigeul: Command, run: Path, bad: dict[str, Path], kind: str, message: str
) -> None:
    done = sorigeul("transcribe", run, bad[kind])
    assert (done.status, done.out) == (2, "")
    assert done.error().startswith(f"{bad[kind]}: ")
    assert message in done.error()


def test_missing_recordings_are_refused(
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
    ("options", "message"),
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
def test_options_that_exclude_each_other_are_refused(
    sorigeul: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sorigeul("transcribe", "run", *options.split())
    assert (done.status, done.out) == (2, "")
    assert message in done.error()
    assert not list(tmp_path.iterdir())
