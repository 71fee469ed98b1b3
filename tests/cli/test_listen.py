"""`sorigeul listen`: a recording in place of the microphone, Ctrl-C, and what is kept."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.commands import Command, in_a_process
from helpers.processes import Forked
from helpers.recordings import sound_file

from sorigeul import Recognizer
from sorigeul.recognition.transcription import Transcription
from sorigeul.recognition.writers import write
from sorigeul.recognition.written_text import written_transcription
from sorigeul.sound.audio import SAMPLE_RATE, Samples


@pytest.fixture
def sentences() -> Samples:
    """Two sentences with pauses."""
    pause = np.zeros(5 * SAMPLE_RATE // 4, np.float32)
    spoken = [tones.synthesize(text, 1) for text in ("가나다라나가", "라다나가다라")]
    return np.concatenate([part for each in spoken for part in (each, pause)])


@pytest.fixture
def recording(sentences: Samples, tmp_path: Path) -> Path:
    """The file of `sentences`."""
    path = tmp_path / "talk.wav"
    path.write_bytes(sound_file(sentences))
    return path


def texts(out: str) -> list[str]:
    """The lines of an output without times and marks."""
    return [line.partition("] ")[2].removesuffix(" (?)") for line in out.splitlines()]


def kept(folder: Path) -> dict[str, Path]:
    """The files of the only recording that was kept, by their suffix."""
    paths = {path.suffix: path for path in folder.iterdir()}
    assert len({path.stem for path in paths.values()}) == 1
    return paths


def assert_about_recording(transcript: Path, expected: Transcription) -> None:
    """That a transcript in JSON is the one of `transcribe`, but for its account."""
    wanted = json.loads(write("json", expected))
    content = json.loads(transcript.read_text(encoding="utf-8"))
    assert content["text"] == wanted["text"]
    assert content["duration"] == wanted["duration"]
    for segment, other in zip(content["segments"], wanted["segments"], strict=True):
        assert (segment["start"], segment["end"]) == (other["start"], other["end"])
        assert [word["word"] for word in segment["words"]] == segment["text"].split()


def test_a_file_in_place_of_the_microphone_has_the_text_of_transcribe(
    run: Path, recording: Path, tmp_path: Path
) -> None:
    expected = Recognizer.from_pretrained(run, "cpu").transcribe(recording)
    assert len(expected.segments) == 2
    out = tmp_path / "kept"
    arguments = ("listen", run, "--file", recording, "--fast", "--out", out)
    done = Forked(tmp_path / "process", *arguments).done()
    assert done.status == 0, done.err
    assert texts(done.out) == [segment.text for segment in expected.segments]
    assert done.out.startswith("[00:00.")
    assert "\x1b" not in done.out + done.err
    assert "\r" not in done.out + done.err
    files = kept(out)
    assert set(files) == {".wav", ".txt", ".json"}
    assert files[".txt"].read_text(encoding="utf-8") == write("txt", expected)
    assert_about_recording(files[".json"], expected)
    samples, rate = soundfile.read(files[".wav"], dtype="int16")
    assert rate == SAMPLE_RATE
    assert np.array_equal(samples, soundfile.read(recording, dtype="int16")[0])


def test_what_is_heard_can_be_written_in_digits(
    sorigeul: Command, counting_run: Path, recording: Path, tmp_path: Path
) -> None:
    heard = Recognizer.from_pretrained(counting_run, "cpu").transcribe(recording)
    expected = written_transcription(heard)
    assert any(map(str.isdecimal, expected.text))
    out = tmp_path / "kept"
    options = ("--file", recording, "--fast", "--out", out, "--written")
    done = sorigeul("listen", counting_run, *options)
    assert done.status == 0, done.err
    assert texts(done.out) == [segment.text for segment in expected.segments]
    assert kept(out)[".txt"].read_text(encoding="utf-8") == write("txt", expected)
    content = json.loads(kept(out)[".json"].read_text(encoding="utf-8"))
    assert (content["text"], content["spoken"]) == (expected.text, heard.text)


def recorded_seconds(folder: Path) -> float:
    """How much has been recorded so far, as any player sees it."""
    paths = list(folder.glob("*.wav"))
    if not paths or not paths[0].stat().st_size:
        return 0.0
    return soundfile.info(paths[0]).duration


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_well(
    run: Path, sentences: Samples, tmp_path: Path, number: signal.Signals
) -> None:
    """What was heard by then is recognised and kept, in the middle of a sentence too."""
    endless = tmp_path / "endless.wav"
    endless.write_bytes(sound_file(np.resize(sentences, 600 * SAMPLE_RATE)))
    out = tmp_path / "kept"
    process = Forked(tmp_path / "listen", "listen", run, "--file", endless, "--out", out)
    assert process.wait_until(lambda: recorded_seconds(out) > 1.0)
    process.kill(number)
    done = process.done()
    assert done.status == 0, done.err
    assert "Traceback" not in done.err
    files = kept(out)
    samples, _ = soundfile.read(files[".wav"], dtype="int16")
    assert SAMPLE_RATE < len(samples) < 600 * SAMPLE_RATE
    assert np.array_equal(samples, soundfile.read(endless, len(samples), dtype="int16")[0])
    expected = Recognizer.from_pretrained(run, "cpu").transcribe(files[".wav"])
    assert expected.text
    assert_about_recording(files[".json"], expected)
    assert texts(done.out) == [segment.text for segment in expected.segments]


def test_the_recording_is_whole_even_if_the_process_is_killed(
    run: Path, sentences: Samples, tmp_path: Path
) -> None:
    endless = tmp_path / "endless.wav"
    endless.write_bytes(sound_file(np.resize(sentences, 600 * SAMPLE_RATE)))
    out = tmp_path / "kept"
    process = Forked(tmp_path / "listen", "listen", run, "--file", endless, "--out", out)
    assert process.wait_until(lambda: recorded_seconds(out) > 0.5)
    process.kill(signal.SIGKILL)
    process.done()
    samples, _ = soundfile.read(kept(out)[".wav"], dtype="int16")
    assert np.array_equal(samples, soundfile.read(endless, len(samples), dtype="int16")[0])


def test_what_was_heard_before_the_damage_is_not_lost(
    sorigeul: Command, run: Path, sentences: Samples, tmp_path: Path
) -> None:
    content = sound_file(np.resize(sentences, 40 * SAMPLE_RATE), "FLAC")
    path = tmp_path / "cut.flac"
    path.write_bytes(content[: len(content) * 3 // 4])
    out = tmp_path / "kept"
    done = sorigeul("listen", run, "--file", path, "--fast", "--out", out)
    assert done.status == 2
    assert "cut short or damaged" in done.err.splitlines()[-1]
    assert len(texts(done.out)) >= 2
    account = json.loads(kept(out)[".json"].read_text(encoding="utf-8"))["account"]
    assert "cut short or damaged" in account[-1]


def test_a_full_disk_ends_the_recording_and_not_the_listening(
    run: Path, sentences: Samples, tmp_path: Path
) -> None:
    sound = tmp_path / "long.wav"
    sound.write_bytes(sound_file(np.resize(sentences, 40 * SAMPLE_RATE)))
    expected = Recognizer.from_pretrained(run, "cpu").transcribe(sound)
    out = tmp_path / "kept"
    arguments = ("listen", run, "--file", sound, "--fast", "--out", out)
    done = Forked(tmp_path / "process", *arguments, largest_file=600_001).done()
    assert done.status == 2
    assert texts(done.out) == [segment.text for segment in expected.segments]
    files = kept(out)
    assert files[".txt"].read_text(encoding="utf-8") == write("txt", expected)
    samples, _ = soundfile.read(files[".wav"], dtype="int16")
    assert 0 < 2 * len(samples) <= 600_001
    assert np.array_equal(samples, soundfile.read(sound, len(samples), dtype="int16")[0])
    for line in done.err.splitlines()[0], done.err.splitlines()[-1]:
        assert f"{files['.wav']}: cannot be written" in line
        assert f"ends after {len(samples) / SAMPLE_RATE:.1f} s" in line


def test_where_nobody_speaks_it_is_said(sorigeul: Command, run: Path, tmp_path: Path) -> None:
    noise = 0.003 * np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE)
    soundfile.write(tmp_path / "room.wav", noise, SAMPLE_RATE)
    done = sorigeul("listen", run, "--file", tmp_path / "room.wav", "--fast")
    assert (done.status, done.out) == (0, "")
    assert "nobody has spoken" in done.err


def test_without_a_microphone_the_remedy_is_said(run: Path) -> None:
    """Whether PortAudio is installed or not; ALSA without a configuration has no device."""
    done = in_a_process("listen", run, ALSA_CONFIG_PATH=os.devnull)
    assert done.status == 2
    assert done.error().startswith(("PortAudio is missing: apt install", "no microphone can be us"))
    assert "--file RECORDING" in done.error()


def test_without_the_library_the_remedy_is_said(
    sorigeul: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # as if it were not installed
    for arguments in ((run,), ("--list_devices",)):
        done = sorigeul("listen", *arguments)
        assert done.status == 2
        assert "pip install 'sorigeul[mic]'" in done.error()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "no model given: sorigeul listen RUN"),
        ("run --fast", "--fast goes with --file"),
        ("run --file a.wav --device 1", "--device and --file exclude each other"),
        ("run --file a.wav", "a.wav: cannot be opened"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    sorigeul: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = sorigeul("listen", *arguments.split())
    assert (done.status, done.out) == (2, "")
    assert done.error().startswith(message)
    assert not list(tmp_path.iterdir())
