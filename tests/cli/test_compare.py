"""`sorigeul compare`: two runs, a server and a file side by side; what is written and refused."""

import json
import shutil
from pathlib import Path

import pytest
from helpers import tones
from helpers.commands import Command
from helpers.transcription_server import Answer, serving

from sorigeul.training.run import train


@pytest.fixture(scope="module")
def worse_run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on `corpus` that has hardly begun."""
    folder = tmp_path_factory.mktemp("runs") / "worse"
    train(corpus, folder, tones.TINY.changed({"max_steps": 3}, "worse"))
    return folder


@pytest.fixture
def theirs(corpus: Path, tmp_path: Path) -> Path:
    """Texts of a recogniser that was right each time."""
    manifest = [json.loads(line) for line in (corpus / "dev.jsonl").open(encoding="utf-8")]
    texts = [f"{cut['id']}\t{cut['supervisions'][0]['text']}\n" for cut in manifest]
    (tmp_path / "theirs.tsv").write_text("".join(texts), encoding="utf-8")
    return tmp_path / "theirs.tsv"


def test_runs_a_server_and_a_file_are_compared(
    sorigeul: Command, run: Path, worse_run: Path, corpus: Path, theirs: Path, tmp_path: Path
) -> None:
    out, results = tmp_path / "out", tmp_path / "results.json"
    with serving(lambda *_: Answer.text("가")) as server:
        arguments: list[str | Path] = ["compare", corpus, "--split", "dev", "--out", out]
        for engine in (
            f"good={run}",
            f"bad={worse_run}",
            f"server=openai:{server.url}#whisper-1",
            f"exact=file:{theirs}",
        ):
            arguments += ["--engine", engine]
        done = sorigeul(*arguments, "--json", results)
        assert (done.status, done.err) == (0, "")
        again = sorigeul(*arguments, "--report", tmp_path / "report.html")
        assert len(server.uploads) == 4
    assert again.out == done.out
    assert (out / "compare.md").read_text(encoding="utf-8") == done.out
    content = json.loads(results.read_text(encoding="utf-8"))
    assert (content["data"], content["split"], content["policy"]) == (
        str(corpus),
        "dev",
        "strict/1",
    )
    engines = {one["engine"]: one for one in content["engines"]}
    assert engines[content["best"]]["crr"] == engines["exact"]["crr"] == 100
    assert engines["good"]["crr"] > max(engines["bad"]["crr"], engines["server"]["crr"])
    assert {name: one["rtf"] is None for name, one in engines.items()} == {
        "good": False,
        "bad": False,
        "server": False,
        "exact": True,
    }
    evaluated = json.loads(sorigeul("evaluate", run, corpus, "--split", "dev", "--json", "-").out)
    assert engines["good"]["policies"] == evaluated["policies"]
    rows = (out / "compare.tsv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 5
    columns = rows[0].split("\t")
    for row in rows[1:]:
        cells = dict(zip(columns, row.split("\t"), strict=True))
        assert cells["exact"] == cells["reference"]
        assert cells["server"] == "가"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in engines)


def test_the_others_are_compared_when_an_engine_fails(
    sorigeul: Command, corpus: Path, theirs: Path, tmp_path: Path
) -> None:
    arguments = ("--engine", f"exact=file:{theirs}", "--split", "dev", "--out", tmp_path / "out")
    with serving(lambda *_: Answer(401, "no key")) as server:
        engine = f"openai:{server.url}#m"
        done = sorigeul("compare", corpus, "--engine", engine, *arguments)
    assert done.status == 2
    error = done.error()
    assert error.startswith(f"not compared: {engine}: ")
    assert "answers 401 Unauthorized: no key" in error
    assert "| strict/1   | exact  | 100.00" in done.out
    assert "exact" in (tmp_path / "out" / "compare.md").read_text(encoding="utf-8")


def test_nothing_is_written_when_every_engine_fails(
    sorigeul: Command, corpus: Path, theirs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = sorigeul("compare", corpus, "--engine", f"file:{theirs}", "--out", out)  # another split
    assert (done.status, done.out) == (2, "")
    assert "fails on all 4 utterances" in done.error()
    assert not (out / "compare.md").exists()


def test_only_json_is_printed(
    sorigeul: Command, corpus: Path, theirs: Path, tmp_path: Path
) -> None:
    done = sorigeul(
        "compare",
        corpus / "dev.jsonl",
        "--engine",
        f"file:{theirs}",
        "--policy",
        "readings",
        "--json",
        "-",
        "--out",
        tmp_path / "out",
    )
    assert done.status == 0
    content = json.loads(done.out)
    assert (content["policy"], content["best"]) == ("readings/3", f"file:{theirs}")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "give at least one engine"),
        (["--engine", "nowhere"], "nowhere"),
        (["--engine", "openai:http://localhost"], "names no model"),
        (["--engine", "vosk", "--policy", "mild"], "no scoring policy 'mild'"),
        (["--engine", "a=vosk", "--engine", "a=vosk"], "two engines are called a"),
        (["--engine", "vosk", "--split", "eval_clean"], "found: dev, test, train"),
    ],
)
def test_mistakes_are_told_in_a_line(
    sorigeul: Command, corpus: Path, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = sorigeul("compare", corpus, *arguments, "--out", tmp_path / "out")
    assert done.status == 2
    assert complaint in done.error()
    assert not (tmp_path / "out").exists()


def test_recordings_that_have_moved_are_found(sorigeul: Command, tmp_path: Path) -> None:
    folder = tones.manifests(tmp_path, tones.texts(4), ["test"] * 4)
    moved = shutil.move(tmp_path / "audio", tmp_path / "elsewhere")
    with serving() as server:
        engine = f"openai:{server.url}#m"
        done = sorigeul(
            "compare", folder, "--engine", engine, "--audio_root", moved, "--out", tmp_path / "out"
        )
    assert (done.status, done.err, len(server.uploads)) == (0, "", 4)
