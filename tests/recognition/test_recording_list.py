"""The list of recordings to transcribe: manifests and lists of paths that are refused."""

import json
import unicodedata
from pathlib import Path

import pytest
from helpers import tones
from helpers.commands import Command
from helpers.trees import write_tone

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.recognition.recording_list import read_recording_list
from sorigeul.sound.audio import AudioError
from sorigeul.sound.segments import SegmentLimits


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no recording"),
        ("{", "list.jsonl:1 cannot be read"),
        ('{"id": "a"}', "list.jsonl:1 is no cut of a recording: make or copy the manifest again"),
        ("[]", "list.jsonl:1 is no cut of a recording: make or copy the manifest again"),
        (None, "list.jsonl: cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_is_not_a_manifest_is_refused_before_anything_is_written(
    sorigeul: Command, run: Path, tmp_path: Path, content: str | None, message: str
) -> None:
    manifest, out = tmp_path / "list.jsonl", tmp_path / "out" / "o.jsonl"
    if content is not None:
        manifest.write_text(content, encoding="utf-8")
    done = sorigeul("transcribe", run, "--manifest", manifest, "--out", out)
    assert done.status == 2
    assert message in done.error()
    assert not out.parent.exists()


def test_of_a_part_of_a_recording_only_the_part_is_recognised(corpus: Path, tmp_path: Path) -> None:
    cut = json.loads((corpus / "test.jsonl").read_text(encoding="utf-8").splitlines()[3])
    cut["start"], cut["duration"] = 0.25, cut["duration"] - 0.25
    (tmp_path / "m.jsonl").write_text(json.dumps(cut) + "\n", encoding="utf-8")
    (entry,) = read_recording_list(tmp_path / "m.jsonl")
    assert entry.seconds == cut["duration"]
    assert entry.load(SegmentLimits()).duration == pytest.approx(cut["duration"])


def test_archives_with_a_gap_are_refused(tmp_path: Path) -> None:
    """A recording that is not transcribed must not be missed in silence."""
    splits = ["dev", "test"] + ["train"] * 8
    table = tones.record(tmp_path / "audio", tones.texts(10), splits)
    prepare(CORPORA["table"], table, tmp_path / "out", PrepareOptions(shards=2))
    assert len(read_recording_list(tmp_path / "out", "train")) == 8
    (tmp_path / "out" / "train.shar" / "cuts.000002.jsonl.gz").unlink()
    with pytest.raises(UserError, match=r"train.shar has no cuts.000002.jsonl.gz: copy or make"):
        read_recording_list(tmp_path / "out", "train")


def test_a_list_without_a_readable_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.wav\nb.wav\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"none of the recordings in .*the first: no file .*/a.wav"):
        read_recording_list(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_bytes(b"\xff\xff.wav\n")
    with pytest.raises(UserError, match="neither UTF-8 nor CP949"):
        read_recording_list(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_bytes(b"\n")
    with pytest.raises(UserError, match="holds no recording"):
        read_recording_list(tmp_path / "list.txt")


def test_a_list_from_another_system_finds_the_recordings(tmp_path: Path) -> None:
    """From Windows: CP949, backslashes, another case. From a Mac: decomposed Hangul."""
    folder = tmp_path / unicodedata.normalize("NFD", "녹음")
    for name in ("가.WAV", "나.wav"):
        write_tone(folder / unicodedata.normalize("NFD", name), 0.5)
    names = ["녹음\\가.wav", "녹음\\나.wav", "녹음\\나1.wav"]
    (tmp_path / "list.txt").write_bytes("\r\n".join(names).encode("cp949"))
    found = read_recording_list(tmp_path / "list.txt")
    assert [entry.id for entry in found] == names
    assert [entry.seconds for entry in found] == [0.5, 0.5, 0.0]
    with pytest.raises(AudioError, match=r"^no file .*/나1\.wav; the nearest name there is"):
        found[2].load(SegmentLimits())
    (tmp_path / "far.txt").write_text("D:\\corpus\\녹음\\나.wav\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"a path on a Windows machine: name .* --audio_root"):
        read_recording_list(tmp_path / "far.txt")
    (entry,) = read_recording_list(tmp_path / "far.txt", audio_root=str(tmp_path))
    assert entry.seconds == 0.5


def test_a_split_that_does_not_exist_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no manifest \*.jsonl \(found: none\): make"):
        read_recording_list(tmp_path)
    with pytest.raises(UserError, match=r"has no manifest eval.jsonl \(found: dev, test, tr"):
        read_recording_list(corpus, "eval")
    with pytest.raises(UserError, match=r"split test chooses a .*list.txt is not a folder: leave"):
        read_recording_list(tmp_path / "list.txt", "test")
