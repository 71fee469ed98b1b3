"""Transcription of a corpus: the same bytes in one go, resumed, and by several processes."""

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from helpers.commands import Command
from helpers.processes import Forked, Pause, children, forked_on_a_terminal

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.recognition import corpus_transcription
from sorigeul.recognition.batching import assign_batches, length_batches
from sorigeul.recognition.corpus_transcription import CorpusOptions, transcribe_corpus
from sorigeul.recognition.recording_list import read_recording_list
from sorigeul.recognition.shard_results import ShardResults
from sorigeul.sound.audio import SAMPLE_RATE
from sorigeul.text.written_form import written

Row = dict[str, Any]


def rows(out: Path) -> list[Row]:
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def texts(out: Path) -> list[str]:
    return [row["text"] for row in rows(out)]


# The output


def test_every_recording_has_a_row_with_the_text_it_has_alone(
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
    recognizer = Recognizer.from_pretrained(run, "cpu")
    for row, cut in zip(rows(out), cuts, strict=True):
        path = cut["recording"]["sources"][0]["source"]
        alone = recognizer.transcribe(path)
        assert row == {
            "id": cut["id"],
            "audio": path,
            "duration": cut["duration"],
            "text": alone.text,
            "confidence": pytest.approx(alone.confidence, abs=2e-4),
            "finished": alone.finished,
            **({"doubtful": True} if alone.doubtful_segments else {}),
        }
    assert sum(bool(text) for text in texts(out)) > 40


def test_a_corpus_is_a_folder_a_manifest_or_a_list_of_paths(
    sorigeul: Command, run: Path, corpus: Path, audio: Path, tmp_path: Path
) -> None:
    def transcribed(name: str, *options: str | Path) -> list[Row]:
        done = sorigeul("transcribe", run, "--out", tmp_path / name, *options)
        assert done.status == 0, done.err
        return rows(tmp_path / name)

    by_split = transcribed("split", "--manifest", corpus, "--split", "test")
    assert [row["id"] for row in by_split] == [f"u{number:02}.wav" for number in range(4)]
    assert transcribed("manifest", "--manifest", corpus / "test.jsonl") == by_split

    names = [f"u{number:02}.wav" for number in (2, 0, 3, 1)]
    path_list = audio / "list.txt"  # relative paths start at the folder of the list
    path_list.write_text("\ufeff" + "\r\n\n".join([*names[:3], str(audio / names[3])]), "utf-8")
    by_list = transcribed("list", "--manifest", path_list, "--jobs", "2")
    path_list.unlink()
    assert [row["id"] for row in by_list] == [*names[:3], str(audio / names[3])]
    text_of = {Path(row["audio"]).name: row["text"] for row in by_split}
    assert [row["text"] for row in by_list] == [text_of[name] for name in names]


def test_recordings_may_be_in_archives_or_have_moved(
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


def test_a_row_of_a_long_recording_has_its_segments(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    from sorigeul.synthesis.espeak import Synthesizer

    with Synthesizer() as synthesizer:
        sentence = synthesizer.speak("오늘은 날씨가 참 좋네요", "linda", 200, 50, 50)
    sentence_and_pause = np.concatenate((sentence, np.zeros(SAMPLE_RATE, np.float32)))
    soundfile.write(tmp_path / "long.wav", np.tile(sentence_and_pause, 9), SAMPLE_RATE)
    soundfile.write(tmp_path / "short.wav", sentence, SAMPLE_RATE)
    (tmp_path / "list.txt").write_text("short.wav\nlong.wav\n", encoding="utf-8")
    transcribe_corpus(str(run), tmp_path / "list.txt", tmp_path / "o.jsonl")
    short, long = rows(tmp_path / "o.jsonl")
    alone = Recognizer.from_pretrained(run, "cpu").transcribe(tmp_path / "long.wav")
    assert long["duration"] > 20
    assert "segments" not in short
    assert len(alone.segments) >= 3
    for row, segment in zip(long["segments"], alone.segments, strict=True):
        assert row == {
            "start": round(segment.start, 3),
            "end": round(segment.end, 3),
            "text": segment.text,
            "confidence": pytest.approx(segment.confidence, abs=2e-4),
        }
    assert long["text"] == alone.text


def test_rows_in_written_form_have_what_was_heard_too(
    sorigeul: Command, counting_run: Path, corpus: Path, tmp_path: Path
) -> None:
    def transcribed(name: str, *options: str) -> list[Row]:
        out = tmp_path / name
        done = sorigeul("transcribe", counting_run, "--manifest", corpus, "--out", out, *options)
        assert done.status == 0, done.err
        return rows(out)

    heard, forms = transcribed("spoken"), transcribed("written", "--written")
    assert not any("spoken" in row for row in heard)
    with_text = [row for row in heard if row["text"]]
    assert [row["spoken"] for row in forms if row["text"]] == [row["text"] for row in with_text]
    assert [row["text"] for row in forms] == [written(row["text"]) for row in heard]
    assert any(map(str.isdecimal, "".join(row["text"] for row in forms)))
    for spoken_row, written_row in zip(heard, forms, strict=True):
        differing = {"text", "spoken"}
        assert {name: written_row[name] for name in set(written_row) - differing} == {
            name: spoken_row[name] for name in set(spoken_row) - differing
        }


def test_the_segments_of_a_row_have_what_was_heard_too(
    counting_run: Path, audio: Path, tmp_path: Path
) -> None:
    pause = np.zeros(SAMPLE_RATE)
    samples = [soundfile.read(audio / f"u{number:02}.wav")[0] for number in range(12)]
    joined = np.concatenate([part for each in samples for part in (each, pause)])
    soundfile.write(tmp_path / "long.wav", joined, SAMPLE_RATE)
    (tmp_path / "list.txt").write_text("long.wav\n", encoding="utf-8")
    options = CorpusOptions(written=True)
    transcribe_corpus(str(counting_run), tmp_path / "list.txt", tmp_path / "o.jsonl", options)
    (row,) = rows(tmp_path / "o.jsonl")
    assert len(row["segments"]) > 3
    for segment in row["segments"]:
        assert segment["text"] == written(segment["spoken"])
    assert row["text"] == " ".join(segment["text"] for segment in row["segments"])
    assert row["spoken"] == " ".join(segment["spoken"] for segment in row["segments"])


def test_a_recording_that_cannot_be_read_has_an_error_in_its_row_and_the_others_their_text(
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
    first, *failed, last = rows(out)
    assert [row["audio"] for row in (first, *failed, last)] == [str(path) for path in paths]
    for row in failed:
        assert set(row) == {"id", "audio", "error"}
        assert row["error"].startswith((f"{row['audio']}: ", f"no file {row['audio']}"))
        assert f"warning: {row['error']}\n" in done.err
    assert first["text"]
    assert last["text"]


def test_only_the_first_five_of_many_failures_are_listed(
    sorigeul: Command, run: Path, audio: Path, tmp_path: Path
) -> None:
    names = [f"missing{number}.wav" for number in range(1151)]
    (tmp_path / "list.txt").write_text("\n".join([str(audio / "u00.wav"), *names]), "utf-8")
    out = tmp_path / "o.jsonl"
    done = sorigeul("transcribe", run, "--manifest", tmp_path / "list.txt", "--out", out)
    *warnings, summary, error = done.err.splitlines()
    assert error.startswith("error: 1,151 of 1,152 recordings could not be read; their lines in")
    assert [re.findall(r"missing\d+\.wav", line) for line in warnings] == [
        [name] for name in names[:5]
    ]
    assert "1,152 of 1,152 recordings (1,151 of them unreadable), " in summary


# Interrupted, resumed and shared


APPEND = [(ShardResults, "append")]
"""called by a process after every batch, to write its rows"""


@pytest.fixture(scope="module")
def many(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of 96 recordings, for many batches of 3 s; one in 48 does not exist."""
    folder = tmp_path_factory.mktemp("many")
    names = [corpus.parent / "audio" / f"u{number:02}.wav" for number in range(47)]
    path_list = folder / "list.txt"
    lines = [str(name) for name in [*names, folder / "none.wav"] for _ in range(2)]
    path_list.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path_list


@pytest.fixture(scope="module")
def expected(run: Path, many: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The output for `many` in one go, by one process."""
    out = tmp_path_factory.mktemp("whole") / "o.jsonl"
    with pytest.raises(UserError, match="2 of 96 recordings could not be read"):
        transcribe_corpus(str(run), many, out, CorpusOptions(batch_seconds=3.0))
    return out.read_bytes()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The output, in a folder of its own that does not exist yet."""
    return tmp_path / "results" / "o.jsonl"


def command(run: Path, manifest: Path, out: Path) -> list[str]:
    """The arguments of a command that reads recordings in two processes, in batches of 3 s."""
    options = ["--manifest", str(manifest), "--out", str(out), "--batch_seconds", "3"]
    return ["transcribe", str(run), *options, "--jobs", "2"]


def of_two_processes(rank: int) -> dict[str, str]:
    """The environment variables by which torchrun tells two processes apart."""
    return {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}


def shard_file(out: Path, rank: int = 0) -> Path:
    """The file in which a process collects its results."""
    return Path(f"{out}.part-{rank}")


def finished_items(shard: Path) -> list[int]:
    """The positions of the recordings whose rows are in the file of a process."""
    return [int(line.partition(b" ")[0]) for line in shard.read_bytes().splitlines()[1:]]


def own_items(manifest: Path, rank: int) -> list[int]:
    """The positions of all recordings that one of two processes transcribes."""
    seconds = [entry.seconds for entry in read_recording_list(manifest)]
    batches = assign_batches(length_batches(seconds, 3.0), seconds, 2)[rank]
    return [position for batch in batches for position in batch]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_transcription_resumes_to_the_same_output(
    sorigeul: Command,
    run: Path,
    many: Path,
    expected: bytes,
    tmp_path: Path,
    out: Path,
    number: signal.Signals,
) -> None:
    process = Forked(tmp_path / "process", *command(run, many, out), pause=Pause(4, APPEND))
    assert process.wait_until_paused()
    before_signal = finished_items(shard_file(out))
    assert before_signal
    process.kill(number)
    done = process.done()
    assert not out.exists()
    if number == signal.SIGKILL:
        assert done.status == -signal.SIGKILL
        assert finished_items(shard_file(out)) == before_signal
    else:
        assert (done.status, done.out) == (0, "")
        (line,) = done.err.splitlines()
        assert line.startswith("stopped at ")
        assert line.endswith("; the same command goes on from there")
        assert len(finished_items(shard_file(out))) > len(before_signal)  # it finished its batch
    assert len(finished_items(shard_file(out))) < 96

    # Nothing is transcribed again: a change in an existing row is still there in the output.
    head, first, rest = shard_file(out).read_bytes().split(b"\n", 2)
    position, _, row = first.partition(b" ")
    changed = position + b" " + row.replace(b"wav", b"WAV")
    shard_file(out).write_bytes(b"\n".join((head, changed, rest)))
    assert sorigeul(*command(run, many, out)).status == 2
    lines = expected.splitlines(keepends=True)
    lines[int(position)] = lines[int(position)].replace(b"wav", b"WAV")
    assert out.read_bytes() == b"".join(lines)
    assert list(out.parent.iterdir()) == [out]


def test_rows_in_written_form_are_not_mixed_with_others(
    sorigeul: Command,
    counting_run: Path,
    corpus: Path,
    tmp_path: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = command(counting_run, corpus, out)
    with monkeypatch.context() as environment:
        for name, value in of_two_processes(1).items():
            environment.setenv(name, value)
        assert sorigeul(*arguments, "--written").status == 0
    begun = shard_file(out, 1).read_bytes()
    refused = sorigeul(*arguments)
    assert refused.status == 2
    assert refused.error() == (
        f"{out}.part-1 was begun with another text form (--written): give the one it was begun "
        f"with, or remove {out}.part-* to begin anew"
    )
    assert shard_file(out, 1).read_bytes() == begun
    assert sorigeul(*arguments, "--written").status == 0
    in_one_go = command(counting_run, corpus, tmp_path / "o.jsonl")
    assert sorigeul(*in_one_go, "--written").status == 0
    assert out.read_bytes() == (tmp_path / "o.jsonl").read_bytes()


def test_two_processes_write_the_same_output_as_one(
    run: Path, many: Path, expected: bytes, tmp_path: Path, out: Path
) -> None:
    merge = Pause(1, [(ShardResults, "merge")])
    arguments = command(run, many, out)
    first = Forked(tmp_path / "0", *arguments, pause=merge, **of_two_processes(0))
    second = Forked(tmp_path / "1", *arguments, **of_two_processes(1))
    assert first.wait_until_paused()
    assert (second.done().status, second.done().err) == (0, "")
    assert not out.exists()
    items = [sorted(finished_items(shard_file(out, rank))) for rank in (0, 1)]
    assert items == [sorted(own_items(many, rank)) for rank in (0, 1)]
    assert sorted(items[0] + items[1]) == list(range(96))

    first.kill(signal.SIGCONT)
    done = first.done()
    assert done.status == 2
    assert "2 of 96 recordings could not be read" in done.err
    assert done.err.count("96 of 96 recordings") == 1
    assert out.read_bytes() == expected
    assert list(out.parent.iterdir()) == [out]


def test_torchrun_starts_the_processes(run: Path, corpus: Path, tmp_path: Path, out: Path) -> None:
    transcribe_corpus(str(run), corpus, tmp_path / "o.jsonl", CorpusOptions(batch_seconds=3.0))
    options = ("--standalone", "--nproc-per-node=2", "-m", "sorigeul", *command(run, corpus, out))
    done = Forked(tmp_path / "torchrun", *options, module="torch.distributed.run").done()
    assert done.status == 0, done.err
    assert done.err.count("48 of 48 recordings") == 1
    assert out.read_bytes() == (tmp_path / "o.jsonl").read_bytes()
    assert list(out.parent.iterdir()) == [out]


def test_if_one_of_two_processes_dies_the_other_can_be_stopped_and_one_process_can_resume(
    sorigeul: Command, run: Path, many: Path, expected: bytes, tmp_path: Path, out: Path
) -> None:
    arguments = command(run, many, out)
    first = Forked(tmp_path / "0", *arguments, **of_two_processes(0))
    second = Forked(tmp_path / "1", *arguments, pause=Pause(4, APPEND), **of_two_processes(1))
    assert second.wait_until_paused()
    of_first = own_items(many, 0)
    assert first.wait_until(
        lambda: shard_file(out).exists() and len(finished_items(shard_file(out))) == len(of_first)
    )
    second.kill(signal.SIGKILL)
    first.kill(signal.SIGTERM)  # as torchrun does if a process has died
    done = first.done()
    assert done.status == 0
    of_second = finished_items(shard_file(out, 1))
    assert of_second
    assert not set(of_first) & set(of_second)
    finished = len(of_first) + len(of_second)
    assert finished < 96
    assert re.fullmatch(
        rf"stopped at {finished} of 96 recordings.*; the same command goes on from there\n",
        done.err,
    )
    assert not out.exists()

    sorigeul(*arguments)
    assert out.read_bytes() == expected
    assert list(out.parent.iterdir()) == [out]


def test_the_first_process_gives_up_if_the_others_write_nothing(
    sorigeul: Command, run: Path, corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in of_two_processes(0).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(corpus_transcription, "_PATIENCE_SECONDS", -1.0)
    done = sorigeul(*command(run, corpus, out))
    assert done.status == 2
    assert done.error().startswith("the other processes have written nothing for ")
    assert done.error().endswith(": end them; the same command goes on from there")
    assert not out.exists()
    assert sorted(finished_items(shard_file(out))) == sorted(own_items(corpus, 0))


def test_a_reading_process_that_dies_is_reported_and_nothing_is_lost(
    sorigeul: Command, run: Path, many: Path, expected: bytes, tmp_path: Path, out: Path
) -> None:
    process = Forked(tmp_path / "process", *command(run, many, out), pause=Pause(4, APPEND))
    assert process.wait_until_paused()
    readers = children(process.pid)
    assert len(readers) == 2
    for reader in readers:
        os.kill(reader, signal.SIGKILL)
    process.kill(signal.SIGCONT)
    done = process.done()
    assert done.status == 2
    (line,) = done.err.splitlines()
    assert re.fullmatch(
        r"error: .*(u\d\d|none)\.wav: the process working on it died \(SIGKILL\).*", line
    )
    sorigeul(*command(run, many, out))
    assert out.read_bytes() == expected


def test_a_full_disk_is_reported_and_nothing_is_lost_or_mixed_up(
    sorigeul: Command,
    run: Path,
    many: Path,
    corpus: Path,
    expected: bytes,
    tmp_path: Path,
    out: Path,
) -> None:
    done = Forked(tmp_path / "process", *command(run, many, out), largest_file=9000).done()
    assert done.status == 1
    assert done.error().startswith(f"{shard_file(out)}: File too large")
    before = shard_file(out).read_bytes()
    assert 0 < before.count(b"\n") < 96

    for arguments, cause in (
        (command(run, corpus, out), "another manifest"),
        (command(other_model(run, tmp_path), many, out), "another model"),
    ):
        refused = sorigeul(*arguments)
        assert refused.status == 2
        assert refused.error() == (
            f"{shard_file(out)} was begun with {cause}: give the one it was begun with, or remove "
            f"{out}.part-* to begin anew"
        )
    assert shard_file(out).read_bytes() == before

    assert sorigeul(*command(run, many, out)).status == 2
    assert out.read_bytes() == expected


def other_model(run: Path, folder: Path) -> Path:
    """A copy of a model with another window function."""
    other = folder / "other"
    shutil.copytree(run, other)
    config = (other / "config.json").read_text(encoding="utf-8")
    (other / "config.json").write_text(config.replace("hamming", "hann"), encoding="utf-8")
    return other


# Refusals and progress


def test_an_existing_file_is_not_overwritten(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o.jsonl"
    done = sorigeul("transcribe", run, "--manifest", corpus, "--out", tmp_path)
    assert done.status == 2
    assert f"{tmp_path} is a folder: give a file, such as" in done.error()
    out.write_text("precious", encoding="utf-8")
    done = sorigeul("transcribe", run, "--manifest", corpus, "--out", out)
    assert done.status == 2
    assert done.error().startswith(f"{out} exists, and --out would overwrite it: ")
    assert "give --resume if it may be complete, give --overwrite if you mean it" in done.error()
    done = sorigeul("transcribe", run, "--manifest", corpus, "--out", out, "--resume")
    assert done.status == 2
    assert "holds something else than the texts of these recordings" in done.error()
    assert out.read_text(encoding="utf-8") == "precious"
    out.write_text("[" * 100_000, encoding="utf-8")
    done = sorigeul("transcribe", run, "--manifest", corpus, "--out", out, "--resume")
    assert "holds something else than the texts of these recordings" in done.error()


@pytest.mark.parametrize("rank", ["first", "2", "-1"])
def test_a_number_of_a_process_that_cannot_be_is_refused(
    run: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=f"RANK={rank}, WORLD_SIZE=2, LOCAL_RANK=0 in the environ"):
        transcribe_corpus(str(run), corpus, tmp_path / "o.jsonl")


def content_of(path: Path) -> tuple[int, int, bytes]:
    """Whether a file was replaced, written, or changed; reading it changes its times, too."""
    return path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()


def test_a_finished_transcription_is_resumed_by_doing_nothing(
    sorigeul: Command, run: Path, corpus: Path, audio: Path, tmp_path: Path
) -> None:
    out, names = tmp_path / "o.jsonl", tmp_path / "names.txt"
    names.write_text(f"{audio / 'u09.wav'}\n{audio / 'u10.wav'}\n", encoding="utf-8")
    command = ("transcribe", run, "--manifest", names, "--out", out, "--resume")
    assert sorigeul(*command).status == 0  # there is nothing to resume: it begins
    before = content_of(out)
    done = sorigeul(*command)
    assert (done.status, done.err) == (0, f"{out}: all 2 recordings are done already\n")
    assert content_of(out) == before
    names.write_text(f"{audio / 'u09.wav'}\n{tmp_path / 'none.wav'}\n", encoding="utf-8")
    assert sorigeul(*command).status == 2  # other recordings
    assert content_of(out) == before
    assert sorigeul(*command, "--overwrite").status == 2
    assert "error" in rows(out)[1]
    done = sorigeul(*command)
    assert done.status == 2
    assert "is complete, but 1 of 2 recordings could not be read: give --overwrite" in done.error()


def test_progress_is_shown_on_a_terminal(run: Path, corpus: Path, tmp_path: Path) -> None:
    pid, terminal = forked_on_a_terminal(
        *command(run, corpus, tmp_path / "o.jsonl"), COLUMNS="150", TERM="xterm"
    )
    content = b""
    while True:
        try:
            content += os.read(terminal, 10_000)
        except OSError:  # the process has closed its end
            break
    shown = content.decode()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, shown
    os.close(terminal)
    assert re.search(
        r"transcribing .*[-\d]:[-\d]{2}:[-\d]{2}.* [\d,]+ of 48 recordings, [\d,]+ times real time",
        shown,
    )
