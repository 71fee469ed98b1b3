"""`prepare` as a whole: the same bytes every time, complete or not at all, resumable."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.processes import Forked, Pause
from helpers.trees import (
    file_contents,
    make_unreadable,
    write_kspon_scripts,
    write_speakers,
    write_text,
)

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.duration_cache import DurationCache
from sorigeul.corpora.lhotse_cuts import cut_line
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.recording_access import RecordingReader
from sorigeul.corpora.utterances import Utterance
from sorigeul.sound.audio import probe
from sorigeul.synthesis.demo import DEMO

CACHE = "probed.journal"


def test_other_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """They may hash strings differently."""
    table = write_speakers(tmp_path / "in", speakers=6)
    prepare(CORPORA["table"], table, tmp_path / "out")
    first = file_contents(tmp_path / "out")
    code = (
        "import sys; from pathlib import Path; from sorigeul.corpora.catalog import CORPORA;"
        "from sorigeul.corpora.preparation import prepare;"
        "prepare(CORPORA['table'], Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, table, tmp_path / "out"],
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert file_contents(tmp_path / "out") == first


@pytest.mark.parametrize("jobs", [2, 5])
def test_any_number_of_processes_gives_the_same_bytes(
    tmp_path: Path, large_table: Path, expected_files: dict[str, bytes], jobs: int
) -> None:
    prepare(CORPORA["table"], large_table, tmp_path, PrepareOptions(jobs=jobs))
    assert file_contents(tmp_path) == expected_files
    prepare(CORPORA["table"], large_table, tmp_path, PrepareOptions(jobs=jobs))
    assert file_contents(tmp_path) == expected_files


def test_on_a_full_disk_no_manifest_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(CORPORA["table"], write_speakers(tmp_path / "in", speakers=6), tmp_path / "out")
    before = file_contents(tmp_path / "out")
    other_table = write_speakers(tmp_path / "other", speakers=8)

    written = []

    def fail_at_the_thirtieth(utterance: Utterance, normalizer: str) -> str:
        written.append(utterance)
        if len(written) == 30:
            raise OSError(28, "No space left on device")
        return cut_line(utterance, normalizer)

    monkeypatch.setattr("sorigeul.corpora.preparation.cut_line", fail_at_the_thirtieth)
    with pytest.raises(OSError, match="No space left"):
        prepare(CORPORA["table"], other_table, tmp_path / "out")
    after = file_contents(tmp_path / "out")
    assert after.pop(CACHE).count(b"\n") == 32  # what was measured is not lost
    assert after == before
    written.clear()
    with pytest.raises(OSError, match="No space left"):
        prepare(CORPORA["table"], other_table, tmp_path / "new")
    assert list(file_contents(tmp_path / "new")) == [CACHE]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupted_command_resumes_without_measuring_again(
    tmp_path: Path, large_table: Path, number: signal.Signals, jobs: str
) -> None:
    out = tmp_path / "out"
    table = tmp_path / "in" / large_table.name
    shutil.copytree(large_table.parent, table.parent, copy_function=shutil.copy2)
    prepare(CORPORA["table"], table, tmp_path / "uninterrupted")
    command = Forked(
        tmp_path / "output",
        *("prepare", "table", table, out, "--jobs", jobs),
        pause=Pause(101, [(DurationCache, "add")]),
    )
    assert command.wait_until_paused()
    command.kill(number)
    done = command.done()
    if number == signal.SIGKILL:
        assert done.status == -signal.SIGKILL
    else:
        assert done.status == 130
        assert "the same command goes on" in done.err
        assert done.error() == "interrupted"
    lock = {".lock"} if number == signal.SIGKILL else set()  # the next command takes it over
    assert {path.name for path in out.iterdir()} == {CACHE} | lock
    measured = (out / CACHE).read_bytes().splitlines()
    assert len(measured) == 100

    # Recordings that were measured are not read again: unreadable ones go unnoticed.
    for line in measured[:-1]:
        make_unreadable(Path(json.loads(line)[1]))
    with (out / CACHE).open("ab") as file:
        file.write(measured[-1][:20])  # an incomplete line, as after a power failure
    prepare(CORPORA["table"], table, out, PrepareOptions(jobs=int(jobs)))
    assert file_contents(out) == file_contents(tmp_path / "uninterrupted")


def test_temporary_files_of_a_killed_run_are_removed(tmp_path: Path, large_table: Path) -> None:
    for name in ("train.jsonl", "report.json"):
        with replacing(tmp_path / name) as temporary:
            pass
        (tmp_path / name).rename(temporary)
    others = [tmp_path / name for name in (".train.jsonl", ".train.note.jsonl", "notes.txt")]
    for path in others:
        path.touch()
    assert len(list(tmp_path.iterdir())) == 5
    prepare(CORPORA["table"], large_table, tmp_path)
    names = {"report.json", *(f"{split}.jsonl" for split in ("train", "dev", "test"))}
    assert {path.name for path in tmp_path.iterdir()} == names | {path.name for path in others}


def test_a_killed_worker_names_its_recording_and_measurements_are_kept(
    tmp_path: Path,
    large_table: Path,
    expected_files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if memory ran out."""

    def kill_at_one_recording(_: RecordingReader, utterance: Utterance) -> float:
        if utterance.audio.name == "20-5.wav":
            os.kill(os.getpid(), signal.SIGKILL)
        return probe(utterance.audio)

    monkeypatch.setattr(RecordingReader, "probe", kill_at_one_recording)
    with pytest.raises(UserError, match=r"20-5\.wav: the process .* died \(SIGKILL\)"):
        prepare(CORPORA["table"], large_table, tmp_path, PrepareOptions(jobs=2))
    assert [path.name for path in tmp_path.iterdir()] == [CACHE]
    monkeypatch.undo()
    prepare(CORPORA["table"], large_table, tmp_path, PrepareOptions(jobs=2))
    assert file_contents(tmp_path) == expected_files


def test_manifests_of_an_earlier_corpus_are_removed(tmp_path: Path) -> None:
    write_kspon_scripts(tmp_path / "kspon")
    prepare(CORPORA["kspon"], tmp_path / "kspon", tmp_path / "out")
    prepare(CORPORA["table"], write_speakers(tmp_path / "in", speakers=3), tmp_path / "out")
    assert sorted(file_contents(tmp_path / "out")) == [
        "dev.jsonl",
        "report.json",
        "test.jsonl",
        "train.jsonl",
    ]


def test_a_corpus_without_usable_items_is_refused_with_the_first_reason(tmp_path: Path) -> None:
    table = write_text(tmp_path / "t.csv", "audio,text\na.wav,가\nb.wav,나\n")
    with pytest.raises(
        UserError, match=r"none of its 2 items .* first, t\.csv:2: transcript without"
    ):
        prepare(CORPORA["table"], table, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a file"):
        prepare(CORPORA["pansori"], tmp_path, write_text(tmp_path / "file", ""))


def test_importing_it_loads_neither_torch_nor_lhotse() -> None:
    names = "sorigeul.corpora.preparation, sorigeul.corpora.catalog, sorigeul.text.vocabulary"
    code = f"import sys, {names}; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"torch", "lhotse"} & set(modules.stdout.split())


@pytest.mark.parametrize("name", ["test.jsonl", "report.json"])
def test_files_that_prepare_has_not_written_are_kept(tmp_path: Path, name: str) -> None:
    table = write_speakers(tmp_path, 4)
    out = tmp_path / "out"
    mine = write_text(out / name, '{"audio": "a.wav", "text": "가"}\n')
    with pytest.raises(UserError, match=f"^{mine} exists, and .* would overwrite it: give --overw"):
        prepare(CORPORA["table"], table, out)
    assert [path.name for path in out.iterdir()] == [name]
    prepare(CORPORA["table"], table, out, PrepareOptions(overwrite=True))
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["corpus"] == "table"
    prepare(CORPORA["table"], table, out)  # what it has written itself may be replaced


@pytest.mark.parametrize(
    ("corpus", "options", "message"),
    [
        (
            "pansori",
            {"text": "spelling"},
            "text spelling: goes with kspon, table and aihub only, and pan",
        ),
        ("kspon", {"audio_root": "/a"}, "audio_root /a: goes with table only, and kspon would"),
        ("table", {"hours": 2.0}, r"hours 2.0: goes with demo only, and table would ignore it: le"),
        ("table", {"utterances": 200}, "utterances 200: goes with demo only"),
        ("table", {"shard_format": "opus"}, "shard_format opus: is of archives, which only --sh"),
        ("demo", {"dev_share": 0.2}, "dev_share 0.2: the demo corpus has splits of its own, and"),
        ("demo", {"test_share": 0.0}, "test_share 0: the demo corpus has splits of its own"),
        ("zeroth", {"text_file": "a.txt"}, r"text a.txt: only the demo corpus reads a text file"),
    ],
)
def test_an_option_that_the_corpus_would_ignore_is_refused_by_name(
    tmp_path: Path, corpus: str, options: dict[str, Any], message: str
) -> None:
    corpora = {**CORPORA, DEMO.name: DEMO}
    with pytest.raises(UserError, match=f"^{message}"):
        prepare(corpora[corpus], tmp_path, tmp_path / "out", PrepareOptions(**options))
    assert not (tmp_path / "out").exists()
