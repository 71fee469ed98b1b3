"""Damaged recordings of many kinds through `transcribe` and `prepare`.

The property: a transcript and exit status 0, or one printable line that names the recording and
status 2; of a corpus, each recording is used, or rejected by name with a reason. No traceback, no
changed recording, nothing half written.
"""

import hashlib
import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from helpers import tones
from helpers.commands import Command
from helpers.mutations import mutated, recordings_of_all_kinds
from helpers.trees import read_cuts

from sorigeul.recognition.folders import EXTENSIONS

_LOSSLESS = ("wav", "float.wav", "flac", "aiff", "w64", "rf64", "au", "caf", "sph")
_AT_ONCE = 60


@pytest.fixture
def command(restored_logger: None, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process; what C code prints is captured as well."""
    return Command(capfd)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("kinds")
    return recordings_of_all_kinds(tones.synthesize("가나다라"), folder)


def test_whole_recordings_of_lossless_kinds_have_the_same_text(
    command: Command, run: Path, kinds: dict[str, bytes], tmp_path: Path
) -> None:
    files = [tmp_path / f"a.{ending}" for ending in _LOSSLESS]
    for path, ending in zip(files, _LOSSLESS, strict=True):
        path.write_bytes(kinds[ending])
    done = command("transcribe", run, *files)
    assert done.status == 0
    texts = {line.partition(": ")[2] for line in done.out.splitlines()}
    assert len(texts) == 1
    assert texts != {""}


def test_damaged_recordings(
    command: Command, run: Path, kinds: dict[str, bytes], tmp_path: Path
) -> None:
    _try_damaged(command, run, kinds, tmp_path, tries=180)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_thousands_of_damaged_recordings(
    command: Command, run: Path, kinds: dict[str, bytes], tmp_path: Path
) -> None:
    _try_damaged(command, run, kinds, tmp_path, tries=3_000)


def _try_damaged(
    command: Command, run: Path, kinds: dict[str, bytes], folder: Path, tries: int
) -> None:
    endings = list(kinds)
    for first in range(0, tries, _AT_ONCE):
        recordings = folder / f"{first}"
        recordings.mkdir()
        for number in range(first, min(first + _AT_ONCE, tries)):
            ending = endings[number % len(endings)]
            data = mutated(kinds[ending], Random(number))
            (recordings / f"{number}.{ending}").write_bytes(data)
        files = sorted(recordings.iterdir())
        _transcribe(command, run, files, folder / f"texts{first}")
        _prepare(command, files, folder / f"corpus{first}")


def _transcribe(command: Command, run: Path, files: list[Path], texts: Path) -> None:
    """Transcribe the files at once, and check the property for each of them."""
    before = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    done = command("transcribe", run, *files, "--out", texts, "--format", "json")
    lines = done.err.splitlines()
    assert done.out == ""
    assert all(line.isprintable() for line in lines), done.err
    faults = set()
    for path in files:
        own = [line for line in lines if line.removeprefix("warning: ").startswith(f"{path}: ")]
        wrong = [
            line for line in own if line.startswith("warning: ") and "nobody speaks" not in line
        ]
        faults |= {path} if wrong else set()
        has_text = (texts / f"{path.name}.json").exists()
        assert has_text or len(wrong) == 1, (path, own)
        lines = [line for line in lines if line not in own]
    assert done.status == (2 if faults else 0)
    # What is left is the summary, and the only error.
    assert [line.partition(" ")[0] for line in lines] == [
        f"{len(files)}",
        *["error:"] * bool(faults),
    ]
    assert [hashlib.sha256(path.read_bytes()).digest() for path in files] == before
    assert not [path for path in texts.iterdir() if path.name.startswith(".")]


def _prepare(command: Command, files: list[Path], out: Path) -> None:
    """Make a corpus of the files, and check the property for each of them."""
    table = out.with_suffix(".tsv")
    rows = [f"{path}\t가나다라" for path in files]
    table.write_text("\n".join(["audio\ttext", *rows]) + "\n", encoding="utf-8")
    before = [hashlib.sha256(path.read_bytes()).digest() for path in files]
    done = command("prepare", "table", table, out, "--jobs", "1", "--seed", "1")
    assert done.status == 0, done.err
    lines = [*done.out.splitlines(), *done.err.splitlines()]
    assert all(line.isprintable() for line in lines), lines
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    used = Counter(
        cut["recording"]["sources"][0]["source"]
        for manifest in out.glob("*.jsonl")
        for cut in read_cuts(manifest)
    )
    rejected = Counter(one["item"] for one in report["rejected"] if one["reason"])
    for path in files:
        named = used[str(path)] + sum(rejected[name] for name in {str(path), path.name, path.stem})
        assert named == 1, path
    assert sum(used.values()) + sum(rejected.values()) == len(files)
    assert [hashlib.sha256(path.read_bytes()).digest() for path in files] == before
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_damaged_recording_alone_ends_with_its_own_error(
    command: Command, run: Path, kinds: dict[str, bytes], tmp_path: Path
) -> None:
    for number, ending in enumerate(("wav", "flac", "m4a", "mp3")):
        assert ending in EXTENSIONS
        path = tmp_path / f"\x1b[2J{number}.{ending}"
        path.write_bytes(kinds[ending][: len(kinds[ending]) // 2])
        done = command("transcribe", run, path)
        assert done.status == 2
        assert done.error().startswith(f"{tmp_path}/\\u001b[2J{number}.{ending}: ")
        assert done.err.replace("\n", "").isprintable()
