"""A corpus to text: every recording once, and to the letter the same however it came about."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers.commands import Command

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.recognition.corpus_transcription import (
    CorpusOptions,
    batches,
    shares,
    transcribe_corpus,
)
from sorigeul.recognition.recording_list import RecordingEntry, read_recording_list
from sorigeul.sound.audio import SAMPLE_RATE

Row = dict[str, Any]


def rows(out: Path) -> list[Row]:
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def texts(out: Path) -> list[str]:
    return [row["text"] for row in rows(out)]


@pytest.fixture(scope="module")
def many(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of 1,152 recordings, enough to be interrupted; one in 48 is not there."""
    folder = tmp_path_factory.mktemp("many")
    names = [corpus.parent / "audio" / f"u{number:02}.wav" for number in range(47)]
    listed = folder / "list.txt"
    lines = [str(name) for name in [*names, folder / "none.wav"] for _ in range(24)]
    listed.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return listed


@pytest.fixture(scope="module")
def expected(run: Path, many: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What comes of `many` in one go."""
    out = tmp_path_factory.mktemp("whole") / "o.jsonl"
    with pytest.raises(UserError, match="24 of 1,152 recordings could not be read"):
        transcribe_corpus(str(run), many, out, CorpusOptions(batch_seconds=3.0))
    return out.read_bytes()


# What comes out


def test_every_recording_is_written_down_as_it_is_alone(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "o.jsonl"
    done = sorigeul("transcribe", run, "--manifest", corpus, "--out", out)
    assert (done.status, done.out) == (0, "")
    (summary,) = done.err.splitlines()
    assert summary.startswith(f"{out}: 48 of 48 recordings, ")
    assert summary.endswith(" times real time, 0.01 h of sound")
    assert list(out.parent.iterdir()) == [out]
    cuts = [
        json.loads(line)
        for split in ("dev", "test", "train")
        for line in (corpus / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    found = rows(out)
    listener = Recognizer.from_pretrained(run, "cpu")
    for row, cut in zip(found, cuts, strict=True):
        path = cut["recording"]["sources"][0]["source"]
        alone = listener.transcribe(path)
        assert row == {
            "id": cut["id"],
            "audio": path,
            "duration": cut["duration"],
            "text": alone.text,
            "confidence": pytest.approx(alone.confidence, abs=2e-4),
            "finished": alone.finished,
        }
    assert sum(bool(row["text"]) for row in found) > 40


def test_a_corpus_may_come_in_any_form(
    sorigeul: Command, run: Path, corpus: Path, audio: Path, tmp_path: Path
) -> None:
    def written(name: str, *options: str | Path) -> list[Row]:
        done = sorigeul("transcribe", run, "--out", tmp_path / name, *options)
        assert done.status == 0, done.err
        return rows(tmp_path / name)

    by_split = written("split", "--manifest", corpus, "--split", "test")
    assert [row["id"] for row in by_split] == [f"u{number:02}.wav" for number in range(4)]
    assert written("manifest", "--manifest", corpus / "test.jsonl") == by_split

    names = [f"u{number:02}.wav" for number in (2, 0, 3, 1)]
    listed = audio / "list.txt"  # relative paths begin where the list lies
    listed.write_text("\ufeff" + "\r\n\n".join([*names[:3], str(audio / names[3])]), "utf-8")
    by_list = written("list", "--manifest", listed, "--jobs", "2")
    listed.unlink()
    assert [row["id"] for row in by_list] == [*names[:3], str(audio / names[3])]
    said = {Path(row["audio"]).name: row["text"] for row in by_split}
    assert [row["text"] for row in by_list] == [said[name] for name in names]


def test_recordings_may_lie_in_archives_or_have_moved(
    run: Path, audio: Path, corpus: Path, tmp_path: Path
) -> None:
    shutil.copytree(audio, tmp_path / "audio")
    data, out = tmp_path / "data", tmp_path / "o.jsonl"
    prepare(CORPORA["table"], tmp_path / "audio" / "table.csv", data, PrepareOptions(shards=3))
    (tmp_path / "audio").rename(tmp_path / "elsewhere")
    transcribe_corpus(str(run), data, out, CorpusOptions(split="test"))
    transcribe_corpus(str(run), corpus, tmp_path / "plain.jsonl", CorpusOptions(split="test"))
    assert texts(out) == texts(tmp_path / "plain.jsonl")
    assert all(".tar" in row["audio"] for row in rows(out))

    shutil.rmtree(data / "test.shar")
    out.unlink()
    with pytest.raises(UserError, match="4 of 4 recordings could not be read"):
        transcribe_corpus(str(run), data, out, CorpusOptions(split="test"))
    assert "--audio_root" in rows(out)[0]["error"]
    out.unlink()
    moved = CorpusOptions(split="test", audio_root=str(tmp_path / "elsewhere"))
    transcribe_corpus(str(run), data, out, moved)
    assert texts(out) == texts(tmp_path / "plain.jsonl")


def test_a_long_recording_has_its_segments(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    from sorigeul.synthesis.espeak import Synthesizer

    with Synthesizer() as synthesizer:
        said = synthesizer.speak("오늘은 날씨가 참 좋네요", "linda", 200, 50, 50)
    part = np.concatenate((said, np.zeros(SAMPLE_RATE, np.float32)))
    soundfile.write(tmp_path / "long.wav", np.tile(part, 9), SAMPLE_RATE)
    soundfile.write(tmp_path / "short.wav", said, SAMPLE_RATE)
    (tmp_path / "list.txt").write_text("short.wav\nlong.wav\n", encoding="utf-8")
    transcribe_corpus(str(run), tmp_path / "list.txt", tmp_path / "o.jsonl")
    short, long = rows(tmp_path / "o.jsonl")
    alone = Recognizer.from_pretrained(run, "cpu").transcribe(tmp_path / "long.wav")
    assert long["duration"] > 20
    assert "segments" not in short
    assert len(alone.segments) >= 3
    for found, segment in zip(long["segments"], alone.segments, strict=True):
        assert found == {
            "start": round(segment.start, 3),
            "end": round(segment.end, 3),
            "text": segment.text,
            "confidence": pytest.approx(segment.confidence, abs=2e-4),
        }
    assert long["text"] == alone.text


def test_what_cannot_be_read_is_named_and_keeps_nothing_else_from_being_heard(
    sorigeul: Command, run: Path, audio: Path, bad: dict[str, Path], tmp_path: Path
) -> None:
    paths = [audio / "u00.wav", *bad.values(), tmp_path / "none.wav", audio / "u01.wav"]
    (tmp_path / "list.txt").write_text("\n".join(map(str, paths)), encoding="utf-8")
    out = tmp_path / "o.jsonl"
    done = sorigeul("transcribe", run, "--manifest", tmp_path / "list.txt", "--out", out)
    assert done.status == 2
    assert done.err.splitlines()[-1] == (
        f"error: 5 of 7 recordings could not be read; their lines in {out} hold an error in place "
        "of a text"
    )
    found = rows(out)
    assert [row["audio"] for row in found] == [str(path) for path in paths]
    for row in found[1:-1]:
        assert set(row) == {"id", "audio", "error"}
        assert row["error"].startswith(f"{row['audio']}: ")
        assert f"warning: {row['error']}\n" in done.err
    assert found[0]["text"]
    assert found[-1]["text"]


# Interrupted, and shared out


def command(run: Path, manifest: Path, out: Path) -> list[str]:
    return [
        "transcribe",
        str(run),
        "--manifest",
        str(manifest),
        "--out",
        str(out),
        "--batch_seconds",
        "3",
        "--jobs",
        "2",
    ]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own, of which nothing is left at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it never got that far"
        time.sleep(0.01)


def kept_lines(out: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in out.parent.glob("*.part-*"))


def children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [int(child) for child in listed.split()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_was_interrupted_goes_on_to_the_same_end(
    sorigeul: Command, run: Path, many: Path, expected: bytes, tmp_path: Path, number: int
) -> None:
    out = tmp_path / "o.jsonl"
    with started("sorigeul", *command(run, many, out)) as process:
        wait_for(lambda: kept_lines(out) > 10, process)
        os.kill(process.pid, number)
        said, _ = process.communicate(timeout=60)
    assert not out.exists()
    assert kept_lines(out) < 1140, "it was ended too late to prove anything"
    if number != signal.SIGKILL:
        assert process.returncode == 0, said
        (line,) = said.splitlines()
        assert line.startswith("stopped at ")
        assert line.endswith("; the same command goes on from there")

    # What is there already is not done again: a trace left in it comes through.
    part = Path(f"{out}.part-0")
    head, first, rest = part.read_bytes().split(b"\n", 2)
    place, _, row = first.partition(b" ")
    part.write_bytes(b"\n".join((head, place + b" " + row.replace(b"wav", b"WAV"), rest)))
    done = sorigeul(*command(run, many, out))
    assert done.status == 2
    lines = expected.splitlines(keepends=True)
    lines[int(place)] = lines[int(place)].replace(b"wav", b"WAV")
    assert out.read_bytes() == b"".join(lines)
    assert list(tmp_path.iterdir()) == [out]


TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "sorigeul"]


def test_two_processes_write_what_one_does(
    run: Path, many: Path, expected: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "o.jsonl"
    with started(*TORCHRUN, *command(run, many, out)) as process:
        wait_for(lambda: len(list(tmp_path.glob("*.part-*"))) == 2, process)
        said, _ = process.communicate(timeout=120)
    assert "24 of 1,152 recordings could not be read" in said
    assert said.count("1,152 of 1,152 recordings") == 1
    assert out.read_bytes() == expected
    assert list(tmp_path.iterdir()) == [out]


def test_where_one_of_two_processes_dies_none_hangs_and_one_can_go_on(
    sorigeul: Command, run: Path, many: Path, expected: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "o.jsonl"
    parts = [Path(f"{out}.part-{rank}") for rank in (0, 1)]
    with started(*TORCHRUN, *command(run, many, out)) as process:
        wait_for(lambda: all(one.exists() and one.stat().st_size > 2000 for one in parts), process)
        environments = {
            child: Path(f"/proc/{child}/environ").read_bytes() for child in children(process.pid)
        }
        (victim,) = [child for child, env in environments.items() if b"\0RANK=1\0" in env]
        os.kill(victim, signal.SIGKILL)
        said, _ = process.communicate(timeout=100)
    assert process.returncode != 0
    assert re.search(
        r"(?m)^stopped at [\d,]+ of 1,152 .*; the same command goes on from there$", said
    )
    assert not out.exists()
    assert 10 < kept_lines(out) < 1140
    first, other = (
        {line.split(b" ")[0] for line in one.read_bytes().splitlines()[1:]} for one in parts
    )
    assert first
    assert other
    assert not first & other
    sorigeul(*command(run, many, out))
    assert out.read_bytes() == expected
    assert list(tmp_path.iterdir()) == [out]


def test_where_a_process_that_reads_dies_it_is_told_and_nothing_is_lost(
    sorigeul: Command, run: Path, many: Path, expected: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "o.jsonl"
    with started("sorigeul", *command(run, many, out)) as process:
        wait_for(lambda: kept_lines(out) > 10, process)
        for child in children(process.pid):
            os.kill(child, signal.SIGKILL)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    (line,) = said.splitlines()
    assert re.fullmatch(r"error: .*u\d\d.wav: the process working on it died \(SIGKILL\).*", line)
    sorigeul(*command(run, many, out))
    assert out.read_bytes() == expected


def on_a_full_disk(*arguments: str) -> subprocess.CompletedProcess[str]:
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)); "
    return subprocess.run(
        [sys.executable, "-c", f"{limited}from sorigeul.cli import main; main({[*arguments]!r})"],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_a_full_disk_is_told_and_nothing_is_lost_or_mixed_up(
    sorigeul: Command, run: Path, many: Path, corpus: Path, expected: bytes, tmp_path: Path
) -> None:
    out, part = tmp_path / "o.jsonl", tmp_path / "o.jsonl.part-0"
    done = on_a_full_disk(*command(run, many, out))
    assert (done.returncode, done.stderr) == (1, f"error: {part}: File too large\n")
    assert 10 < kept_lines(out) < 1140

    before = part.read_bytes()
    for arguments, said in (
        (command(run, corpus, out), "another manifest"),
        (command(other_model(run, tmp_path), many, out), "another model"),
    ):
        refused = sorigeul(*arguments)
        assert refused.status == 2
        assert refused.error() == (
            f"{part} was begun with {said}: give the one it was begun with, or remove "
            f"{out}.part-* to begin anew"
        )
    assert part.read_bytes() == before

    assert sorigeul(*command(run, many, out)).status == 2
    assert out.read_bytes() == expected


def other_model(run: Path, folder: Path) -> Path:
    other = folder / "other"
    shutil.copytree(run, other)
    config = (other / "config.json").read_text(encoding="utf-8")
    (other / "config.json").write_text(config.replace("hamming", "hann"), encoding="utf-8")
    return other


# Refusals


def test_what_is_there_already_is_left_alone(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o.jsonl"
    done = sorigeul("transcribe", run, "--manifest", corpus, "--out", tmp_path)
    assert done.status == 2
    assert f"{tmp_path} is a folder: give a file, such as" in done.error()
    out.write_text("precious", encoding="utf-8")
    done = sorigeul("transcribe", run, "--manifest", corpus, "--out", out)
    assert done.status == 2
    assert done.error() == f"{out} is there already: remove it, or choose another name"
    assert out.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no recording"),
        ("{", "list.jsonl:1 cannot be read"),
        ('{"id": "a"}', "list.jsonl: what comes after 0 recordings is none"),
        ("[]", "list.jsonl: what comes after 0 recordings is none"),
        (None, "list.jsonl: cannot be read (No such file or directory)"),
    ],
)
def test_what_is_no_manifest_is_refused(
    sorigeul: Command, run: Path, tmp_path: Path, content: str | None, said: str
) -> None:
    listed, out = tmp_path / "list.jsonl", tmp_path / "out" / "o.jsonl"
    if content is not None:
        listed.write_text(content, encoding="utf-8")
    done = sorigeul("transcribe", run, "--manifest", listed, "--out", out)
    assert done.status == 2
    assert said in done.error()
    assert not out.parent.exists()


def test_a_part_of_a_recording_is_refused(run: Path, corpus: Path, tmp_path: Path) -> None:
    cut = json.loads((corpus / "test.jsonl").read_text(encoding="utf-8").splitlines()[3])
    cut["start"], cut["duration"] = 0.25, cut["duration"] - 0.25
    (tmp_path / "m.jsonl").write_text(json.dumps(cut) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"m.jsonl: u03.wav is a part of a recording, but only"):
        read_recording_list(tmp_path / "m.jsonl")


def test_a_list_of_nothing_that_can_be_read_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.wav\nb.wav\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"none of the recordings in .*the first: .*/a.wav: cannot"):
        read_recording_list(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_bytes(b"\xb0\xa1.wav\n")
    with pytest.raises(UserError, match="is not UTF-8"):
        read_recording_list(tmp_path / "list.txt")
    (tmp_path / "list.txt").write_bytes(b"\n")
    with pytest.raises(UserError, match="holds no recording"):
        read_recording_list(tmp_path / "list.txt")


def test_a_folder_without_the_split_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no manifest \*.jsonl \(found: none\): make"):
        read_recording_list(tmp_path)
    with pytest.raises(UserError, match=r"has no manifest eval.jsonl \(found: dev, test, tr"):
        read_recording_list(corpus, "eval")
    with pytest.raises(UserError, match=r"split test is a manifest of a folder, but .*list.txt"):
        read_recording_list(tmp_path / "list.txt", "test")


# What is done when, and by whom


def entries(*seconds: float) -> list[RecordingEntry]:
    return [RecordingEntry(str(place), "", length) for place, length in enumerate(seconds)]


def test_recordings_of_one_length_are_together_the_longest_first() -> None:
    found = batches(entries(2, 9, 3, 30, 0, 9, 2, 0.1), 18)
    assert found == [[3], [1, 5], [2, 0, 6, 7, 4]]
    assert len(batches(entries(*[0.0] * 100), 10)) == 10


@pytest.mark.parametrize("world_size", [1, 2, 5, 64])
def test_everything_is_shared_out_once_and_evenly(world_size: int) -> None:
    seconds = np.random.default_rng(0).lognormal(1, 1, 1000).tolist()
    corpus = entries(*seconds)
    whole = batches(corpus, 60)
    found = shares(whole, corpus, world_size)
    assert len(found) == world_size
    assert sorted(batch for share in found for batch in share) == sorted(whole)
    loads = [sum(seconds[place] for batch in share for place in batch) for share in found]
    longest = max(sum(seconds[place] for place in batch) for batch in whole)
    assert max(loads) - min(loads) <= longest
    first = [
        max(seconds[place] for batch in share[:1] for place in batch) for share in found if share
    ]
    assert max(first) == max(seconds)
    for share in found:
        lengths = [seconds[batch[0]] for batch in share]
        assert lengths[:1] == [max(lengths)][: len(lengths)]
    if world_size == 1:  # the time left is told from the time taken: no order by length
        begun, ended = np.array_split([seconds[batch[0]] for batch in found[0][1:]], 2)
        assert 0.7 < np.mean(begun) / np.mean(ended) < 1.4


# Progress


def test_on_a_terminal_the_progress_is_shown(run: Path, corpus: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sorigeul", *command(run, corpus, tmp_path / "o.jsonl")],
        stderr=theirs,
        env={**os.environ, "COLUMNS": "150", "TERM": "xterm"},
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            said += os.read(ours, 10_000)
        except OSError:  # the other end is closed
            break
    assert process.wait(60) == 0
    shown = said.decode()
    assert re.search(
        r"transcribing .*[-\d]:[-\d]{2}:[-\d]{2}.* [\d,]+ of 48 recordings, \d+ times real time",
        shown,
    )
