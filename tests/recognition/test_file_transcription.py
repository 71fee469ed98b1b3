"""Transcripts of files: their names, what is done already, what must not be overwritten.

How files are transcribed is in the tests of the command.
"""

import os
from pathlib import Path, PurePath

import pytest
import torch

from sorigeul.base.errors import UserError
from sorigeul.recognition.file_transcription import Summary, TranscriptOptions
from sorigeul.recognition.folders import FoundRecording
from sorigeul.recognition.transcription import Segment, Transcription


def recording(path: Path, name: str = "") -> FoundRecording:
    return FoundRecording(path, PurePath(name or path.name))


def test_a_recording_has_a_file_in_each_format_and_keeps_its_folders(tmp_path: Path) -> None:
    options = TranscriptOptions(("srt", "json"), tmp_path)
    assert options.paths(recording(Path("/talks/a/b.wav"), "a/b.wav")) == [
        tmp_path / "a" / "b.wav.srt",
        tmp_path / "a" / "b.wav.json",
    ]
    assert options.paths(recording(Path("-"))) == [tmp_path / "stdin.srt", tmp_path / "stdin.json"]
    assert TranscriptOptions().paths(recording(Path("b.wav"))) == []


def test_a_recording_is_done_if_all_its_transcripts_are_there_and_none_is_older(
    tmp_path: Path,
) -> None:
    sound = tmp_path / "a.wav"
    sound.touch()
    os.utime(sound, (100, 100))
    options = TranscriptOptions(("srt", "json"), tmp_path / "out")
    assert not options.is_done(recording(sound))
    for path in options.paths(recording(sound)):
        assert not options.is_done(recording(sound))
        path.parent.mkdir(exist_ok=True)
        path.touch()
        os.utime(path, (100, 100))
    assert options.is_done(recording(sound))
    os.utime(sound, (101, 101))
    assert not options.is_done(recording(sound))
    sound.unlink()
    assert not options.is_done(recording(sound))


def test_standard_input_is_never_done(tmp_path: Path) -> None:
    (tmp_path / "stdin.txt").touch()
    assert not TranscriptOptions(("txt",), tmp_path).is_done(recording(Path("-")))


def test_a_recording_called_like_standard_input_has_no_transcript_of_its_own(
    tmp_path: Path,
) -> None:
    options = TranscriptOptions(("txt",), tmp_path)
    with pytest.raises(UserError, match="would both be written to"):
        options.refuse_overwriting([recording(Path("-")), recording(tmp_path / "stdin")])


def test_a_summary_counts_what_there_was() -> None:
    segments = [
        Segment(0.0, 1.0, "가", confidence, True, ["가"], torch.zeros(1, 1))
        for confidence in (0.9, 0.1)
    ]
    summary = Summary(5, skipped=2, seconds=9.0, faults=[UserError("damaged")])
    summary.add(Transcription.from_segments(segments, 60.0, ()))
    summary.add(Transcription.from_segments(segments[:1], 30.0, ()))
    assert str(summary) == (
        "5 recordings, 1.5 minutes of sound in 9.0 s (0.10 of real time); 2 skipped, done before; "
        "1 failed; 1 of 3 segments are doubtful: check them"
    )
    assert str(Summary(1)) == "1 recording, 0.0 minutes of sound in 0.0 s (0.00 of real time)"
