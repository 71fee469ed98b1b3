"""`sorigeul transcribe`: formats, inputs, and recordings that are refused."""

import inspect
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.commands import Command
from helpers.transcripts import encoded

from sorigeul import Recognizer
from sorigeul.base.locks import locked_folder
from sorigeul.cli.recognize import transcribe
from sorigeul.recognition.subtitles import LINE
from sorigeul.recognition.writers import WRITERS, write
from sorigeul.recognition.written_text import written_transcription
from sorigeul.sound.audio import SAMPLE_RATE


@pytest.mark.parametrize("format_name", WRITERS)
def test_transcribe_writes_every_format(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path, format_name: str
) -> None:
    transcription = Recognizer.from_pretrained(run).transcribe(audio / "u09.wav")
    expected = write(format_name, transcription)
    printed = sorigeul("transcribe", run, audio / "u09.wav", "--format", format_name)
    assert (printed.status, printed.out) == (0, expected)
    out = tmp_path / "texts"
    done = sorigeul("transcribe", run, audio / "u09.wav", "--format", format_name, "--out", out)
    assert (done.status, done.out) == (0, "")
    assert [path.name for path in out.iterdir()] == [f"u09.wav.{format_name}"]
    assert (out / f"u09.wav.{format_name}").read_text(encoding="utf-8") == expected


def test_several_formats_are_written_at_once(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    transcription = Recognizer.from_pretrained(run).transcribe(audio / "u09.wav")
    options = ("--format", "srt,json", "--subtitle_line", "12", "--out", tmp_path)
    done = sorigeul("transcribe", run, audio / "u09.wav", *options)
    assert (done.status, done.out, done.err) == (0, "", "")
    for name in ("srt", "json"):
        text = (tmp_path / f"u09.wav.{name}").read_text(encoding="utf-8")
        assert text == write(name, transcription, subtitle_line=12)
    assert len(list(tmp_path.iterdir())) == 2


def test_lines_of_subtitles_are_as_wide_as_the_writers_make_them() -> None:
    assert inspect.signature(transcribe).parameters["subtitle_line"].default == LINE


def test_what_is_done_is_skipped_on_request(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    files = [shutil.copy(audio / f"{name}.wav", tmp_path) for name in ("u09", "u10", "u11")]
    out = tmp_path / "texts"
    command = ("transcribe", run, *files, "--format", "txt,json", "--out", out, "--resume")
    assert "skipped" not in sorigeul(*command).err
    kept, renewed, missing = (out / f"{Path(file).name}.txt" for file in files)
    kept.write_text("edited by hand", encoding="utf-8")
    renewed.write_text("older than its recording", encoding="utf-8")
    os.utime(renewed, (1, 1))
    missing.unlink()
    done = sorigeul(*command)
    assert (done.status, done.out) == (0, "")
    assert "3 recordings, " in done.err
    assert "; 1 skipped, done before" in done.err
    assert kept.read_text(encoding="utf-8") == "edited by hand"
    assert renewed.read_text(encoding="utf-8") != "older than its recording"
    assert missing.exists()
    refused = sorigeul(*command[:-1])
    assert refused.status == 2
    assert refused.error().startswith(f"{kept} exists, and {files[0]} would overwrite it: ")
    assert kept.read_text(encoding="utf-8") == "edited by hand"
    assert sorigeul(*command[:-1], "--overwrite").status == 0
    assert kept.read_text(encoding="utf-8") != "edited by hand"


def test_a_recording_that_was_read_in_part_is_not_done(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    whole = encoded(tones.synthesize("가나다라 " * 9, 1), SAMPLE_RATE, "FLAC")
    recording, out = tmp_path / "a.flac", tmp_path / "texts"
    recording.write_bytes(whole[: len(whole) * 4 // 5])
    command = ("transcribe", run, recording, "--format", "txt,vtt", "--word_times", "--out", out)
    first = sorigeul(*command)
    assert first.status == 2
    message = f"error: {recording}: cut short or damaged"
    assert first.err.splitlines()[-1].startswith(message)
    texts = {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()}
    assert set(texts) == {"a.flac.txt", "a.flac.vtt"}
    assert all(texts.values())
    again = sorigeul(*command, "--resume")
    assert (again.status, again.err) == (2, first.err)
    assert {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()} == texts
    recording.write_bytes(whole)
    for resumed in (sorigeul(*command, "--resume"), sorigeul(*command, "--resume")):
        assert resumed.status == 0
    assert (out / "a.flac.txt").stat().st_mtime_ns >= recording.stat().st_mtime_ns


def test_the_summary_of_several_recordings_has_the_real_time_factor(
    sorigeul: Command, run: Path, audio: Path
) -> None:
    pattern = r"2 recordings, 0\.\d minutes of sound in \d+\.\d s \(\d+\.\d\d of real time\)"
    done = sorigeul("transcribe", run, audio / "u09.wav", audio / "u10.wav")
    assert re.match(pattern, done.err.splitlines()[-1])
    assert "real time" not in sorigeul("transcribe", run, audio / "u09.wav").err


def test_no_recording_is_overwritten(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    """What a recording is called does not matter."""
    first = shutil.copy(audio / "u09.wav", tmp_path / "a.wav")
    second = shutil.copy(audio / "u10.wav", tmp_path / "a.wav.txt")
    (tmp_path / "link").symlink_to(tmp_path)
    for options in (["--out", tmp_path / "link"], ["--attention", tmp_path / "a.wav"]):
        done = sorigeul("transcribe", run, first, second, *options)
        assert (done.status, done.out) == (2, "")
        assert f"is {tmp_path / 'a.wav'}" in done.error()
        assert "which this command reads, and would be overwritten" in done.error()
    assert second.read_bytes() == (audio / "u10.wav").read_bytes()
    assert len(list(tmp_path.iterdir())) == 3


def test_one_bad_file_does_not_prevent_the_transcription_of_the_others(
    sorigeul: Command, run: Path, audio: Path, bad: dict[str, Path], tmp_path: Path
) -> None:
    good = [audio / "u09.wav", audio / "u10.wav"]
    out = tmp_path / "texts"
    done = sorigeul("transcribe", run, good[0], bad["other"], good[1], "--out", out)
    assert (done.status, done.out) == (2, "")
    *_, summary, error = done.err.splitlines()
    assert summary.startswith("3 recordings, ")
    assert "; 1 failed" in summary
    assert error == "error: 1 of 3 recordings could not be transcribed whole, as said above"
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


def test_two_commands_do_not_write_into_one_folder(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    with locked_folder(tmp_path):
        done = sorigeul("transcribe", run, audio / "u09.wav", "--out", tmp_path)
    assert done.status == 2
    assert f"{tmp_path} is being written by process {os.getpid()} on " in done.error()
    assert not list(tmp_path.iterdir())


def test_no_transcript_overwrites_another(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = shutil.copy(audio / "u10.wav", tmp_path / "other" / "u09.wav")
    done = sorigeul("transcribe", run, audio / "u09.wav", other, "--out", tmp_path / "texts")
    assert done.status == 2
    assert done.error().startswith(f"{audio / 'u09.wav'} and {other} would both be written to ")
    assert not (tmp_path / "texts").exists()
    assert sorigeul("transcribe", run, audio / "u09.wav", other).status == 0


def test_a_recording_may_come_from_standard_input(
    sorigeul: Command, run: Path, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redirected from a file; for a pipe see below."""
    path = audio / "u09.wav"
    with path.open(encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)
        done = sorigeul("transcribe", run, "-", "--format", "json")
    assert done.status == 0
    expected: dict[str, Any] = json.loads(
        write("json", Recognizer.from_pretrained(run).transcribe(path))
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
    folder = sorigeul("transcribe", run, audio)
    assert folder.status == 2
    assert folder.error() == f"{audio} is a folder: give --recursive for the recordings in it"
    done = sorigeul("transcribe", run)
    assert done.status == 2
    assert "no recording" in done.error()


def test_attention_is_drawn_on_request(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    done = sorigeul("transcribe", run, audio / "u09.wav", "--attention", tmp_path / "a.png")
    assert done.status == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    command = ("transcribe", run, audio / "u09.wav", "--out", tmp_path / "out", "--resume")
    assert sorigeul(*command).status == 0
    done = sorigeul(*command, "--attention", tmp_path / "b.png")
    assert f"{tmp_path / 'b.png'} was not drawn" in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--manifest data", "--manifest needs --out FILE"),
        ("a.wav --manifest data --out o.jsonl", "--manifest excludes FILE…"),
        ("--manifest data --out o.jsonl --format srt", "excludes FILE…, --format and --attention"),
        ("--manifest data --out o.jsonl --attention a.png", "--format and --attention: it writes"),
        ("--manifest data --out o.jsonl --batch_seconds -1", "batch_seconds is -1.0, but must"),
        ("--manifest data --out o.jsonl --jobs -1", "jobs is -1, but must be at least 0"),
        ("--manifest data --out o.jsonl", "data: cannot be read (No such file or directory)"),
        ("a.wav --split test", "--split, --audio_root, --batch_seconds and --jobs go with --manif"),
        ("a.wav --jobs 2", "go with --manifest"),
        (
            "--manifest data --out o.jsonl --channel left",
            "--recursive, --channel, --track and the pcm",
        ),
        ("--manifest data --out o.jsonl --recursive", "go with FILE…"),
        ("a.wav --format srt,json", "several formats need --out FOLDER: only one can be printed"),
        ("a.wav --format srt,srt --out o", "--format srt,srt names a format twice"),
        ("a.wav --format doc", "format 'doc' is unknown: there are txt, json, srt, vtt, tsv"),
        ("a.wav --format txt,tsv --out o --word_times", "not with txt and tsv"),
        ("a.wav --resume", "--resume goes with --out FOLDER"),
        (
            "a.wav --format srt --subtitle_line 3",
            "subtitle_line is 3, but must be at least 8 and at most",
        ),
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


def test_a_folder_is_walked_and_bad_files_do_not_stop_it(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    """Its folders are kept in the output; what is not a recording by its name is left alone."""
    folder = tmp_path / "recordings"
    (folder / "deep" / "er").mkdir(parents=True)
    shutil.copy(audio / "u09.wav", folder / "one.WAV")
    shutil.copy(audio / "u10.wav", folder / "deep" / "er" / "one.wav")
    (folder / "deep" / "bad.mp3").write_bytes(b"not a recording" * 10)
    (folder / "notes.txt").write_text("오늘")
    out = tmp_path / "texts"
    done = sorigeul("transcribe", run, folder, "--recursive", "--out", out)
    assert done.status == 2
    assert "error: 1 of 3 recordings could not be transcribed whole" in done.err
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert written == ["deep/er/one.wav.txt", "one.WAV.txt"]


def test_what_is_no_recording_is_named_and_counted_and_the_others_are_done(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    line_break = tmp_path / "a\nerror: b.wav"
    shutil.copy(audio / "u09.wav", line_break)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    places = [tmp_path / "folder", line_break, tmp_path / "pipe.wav", tmp_path / "none.wav"]
    shown = sorigeul("transcribe", run, *places, audio / "u10.wav")
    assert shown.status == 2
    first, second = shown.out.splitlines()
    assert first.startswith(f"{tmp_path}/a\\nerror: b.wav: ")
    assert second.startswith(f"{audio / 'u10.wav'}: ")
    told = [line for line in shown.err.splitlines() if line.startswith("warning: ")]
    assert [line.split(": ")[1].split()[0] for line in told] == [
        str(tmp_path / name) for name in ("folder", "pipe.wav", "none.wav")
    ]
    assert "\nerror: 3 of 5 recordings could not be transcribed whole, as said abov" in shown.err
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "folder.txt").write_text("mine")
    for options in ((), ("--resume",)):
        written = sorigeul("transcribe", run, *places[:2], "--out", tmp_path / "out", *options)
        assert written.status == 2
        assert "error: 1 of 2 recordings could not be transcribed whole" in written.err
        texts = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
        assert texts.pop("folder.txt") == "mine"
        assert list(texts) == ["a\nerror: b.wav.txt"]


def test_a_folder_without_recordings_is_refused(
    sorigeul: Command, run: Path, tmp_path: Path
) -> None:
    done = sorigeul("transcribe", run, tmp_path, "--recursive")
    assert done.status == 2
    assert done.error().startswith(f"{tmp_path} holds no recording, such as wav")


def test_where_nobody_speaks_nothing_is_written_and_it_is_said(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    noise = 0.003 * np.random.default_rng(0).standard_normal(3 * SAMPLE_RATE)
    soundfile.write(tmp_path / "room.wav", noise, SAMPLE_RATE)
    done = sorigeul("transcribe", run, tmp_path / "room.wav")
    assert (done.status, done.out) == (0, "")
    assert "room.wav: nobody speaks in it, so it has no text" in done.err


def test_doubtful_segments_are_counted(sorigeul: Command, run: Path, tmp_path: Path) -> None:
    """A voice that says nothing of what the model has learnt."""
    soundfile.write(tmp_path / "hum.wav", tones.synthesize("가 나  다" * 2, 1)[::-1], SAMPLE_RATE)
    done = sorigeul("transcribe", run, tmp_path / "hum.wav", "--format", "json")
    doubtful = [segment["doubtful"] for segment in json.loads(done.out)["segments"]]
    counted = f"{sum(doubtful)} of {len(doubtful)} segments are doubtful: check them"
    assert any(doubtful) == (counted in done.err)


def test_the_text_of_a_growing_pipe_comes_while_it_grows(run: Path) -> None:
    """The second half of the recording is written only after the text of the first has come."""
    pause = np.zeros(6 * SAMPLE_RATE, np.float32)
    halves = [
        np.concatenate((tones.synthesize(text, 1), pause)) for text in ("가나다라", "라다나가")
    ]
    command = [sys.executable, "-m", "sorigeul", "transcribe", str(run), "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        header = io.BytesIO()
        soundfile.write(header, halves[0], SAMPLE_RATE, format="WAV", subtype="PCM_16")
        # A wav of unknown length, as ffmpeg writes it into a pipe.
        head = bytearray(header.getvalue())
        head[4:8] = head[40:44] = b"\xff\xff\xff\xff"
        process.stdin.write(head)
        process.stdin.flush()
        first = process.stdout.readline().decode()
        assert first.strip()
        process.stdin.write((halves[1] * 32767).astype("<i2").tobytes())
        process.stdin.close()
        assert process.stdout.read().decode().strip()
    assert process.returncode == 0


def test_a_silent_file_does_not_get_the_text_of_the_next(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "zeros.wav", np.zeros(SAMPLE_RATE), SAMPLE_RATE)
    done = sorigeul("transcribe", run, tmp_path / "zeros.wav", audio / "u09.wav")
    assert done.status == 2
    (line,) = done.out.splitlines()
    assert line.startswith(f"{audio / 'u09.wav'}: ")


def test_a_transcript_that_cannot_be_written_does_not_stop_the_others(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    out = tmp_path / "texts"
    (out / "u09.wav.txt").mkdir(parents=True)
    long_name = shutil.copy(audio / "u10.wav", tmp_path / ("가" * 80 + ".wav"))
    files = [audio / "u09.wav", long_name, audio / "u11.wav"]
    done = sorigeul("transcribe", run, *files, "--out", out)
    assert done.status == 2
    assert f"{out / 'u09.wav.txt'}: cannot be written" in done.err
    written = sorted(path.name for path in out.iterdir() if path.is_file())
    assert written == ["u11.wav.txt", "가" * 80 + ".wav.txt"]


def test_folders_behind_links_are_walked_once(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "recordings"
    (tmp_path / "disk").mkdir()
    folder.mkdir()
    shutil.copy(audio / "u09.wav", tmp_path / "disk" / "a.wav")
    (folder / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(folder)
    done = sorigeul("transcribe", run, folder, "--recursive", "--out", tmp_path / "texts")
    assert done.status == 0
    assert [
        str(path.relative_to(tmp_path / "texts")) for path in (tmp_path / "texts").rglob("*.txt")
    ] == ["linked/a.wav.txt"]


@pytest.mark.parametrize("format_name", ["json", "srt", "vtt"])
def test_the_times_of_words_are_written_on_request(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path, format_name: str
) -> None:
    transcription = Recognizer.from_pretrained(run).transcribe(audio / "u09.wav")
    expected = write(format_name, transcription, word_times=True)
    options = ("--format", format_name, "--word_times")
    printed = sorigeul("transcribe", run, audio / "u09.wav", *options)
    assert (printed.status, printed.out) == (0, expected)
    sorigeul("transcribe", run, audio / "u09.wav", *options, "--out", tmp_path)
    assert (tmp_path / f"u09.wav.{format_name}").read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("format_name", ["txt", "json", "srt"])
def test_the_written_form_is_given_on_request(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path, format_name: str
) -> None:
    transcription = Recognizer.from_pretrained(run).transcribe(audio / "u09.wav")
    expected = write(format_name, written_transcription(transcription))
    options = ("--format", format_name, "--written")
    printed = sorigeul("transcribe", run, audio / "u09.wav", *options)
    assert (printed.status, printed.out) == (0, expected)
    sorigeul("transcribe", run, audio / "u09.wav", *options, "--out", tmp_path)
    assert (tmp_path / f"u09.wav.{format_name}").read_text(encoding="utf-8") == expected
    assert ('"spoken": ' in expected) == (format_name == "json")


def test_a_format_without_times_of_words_is_refused(
    sorigeul: Command, run: Path, audio: Path
) -> None:
    done = sorigeul("transcribe", run, audio / "u09.wav", "--word_times")
    assert done.status == 2
    assert done.error() == "--word_times goes with --format json, srt or vtt, not with txt"
