"""`sorigeul train`: what it needs, and how it continues a run."""

import shutil
from pathlib import Path

import pytest
from helpers import tones
from helpers.commands import Command, in_a_process

from sorigeul.base.memory import PRIMITIVES_VARIABLE
from sorigeul.training import checkpoints
from sorigeul.training.metrics import read_metrics

pytestmark = pytest.mark.usefixtures("undrawn")


def test_it_needs_manifests(sorigeul: Command, tmp_path: Path) -> None:
    done = sorigeul("train", tmp_path / "nowhere", tmp_path / "run")
    assert (done.status, done.out) == (2, "")
    assert "make one with 'sorigeul prepare'" in done.error()
    done = sorigeul("train", tmp_path, tmp_path / "run")
    assert done.status == 2
    assert f"{tmp_path} has no manifest train.jsonl" in done.error()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such vocabulary file"),
        (b"", "the first line must be"),
        (b"\xff\xff", "vocabulary.csv"),
        ("id,char,freq\n0,가,3\n2,나,1\n".encode(), "vocabulary.csv:3"),
        ("id,char,freq\n0,가,3\n1,나,1\n".encode(), "the last three units must be"),
    ],
)
def test_it_needs_a_usable_vocabulary(
    sorigeul: Command, corpus: Path, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "vocabulary.csv"
    if content is not None:
        path.write_bytes(content)
    done = sorigeul("train", corpus, tmp_path / "run", "--vocabulary", path)
    assert done.status == 2
    assert message in done.error()
    assert str(path) in done.error()
    assert not (tmp_path / "run").exists()


def test_several_corpora_are_trained_on_together(
    sorigeul: Command, corpus: Path, tmp_path: Path
) -> None:
    config, run, other = tmp_path / "config.yaml", tmp_path / "run", tmp_path / "other"
    config.write_text(tones.TINY.to_yaml(), encoding="utf-8")
    shutil.copytree(corpus, other)
    limits = ["--config", config, "--max_steps", "1"]
    done = sorigeul("train", corpus, other, run, "--weights", "0.25", "0.75", *limits)
    assert done.status == 0
    assert "manifests: 25.0% of the speech of an epoch; " in done.err
    head, _, row = done.out.splitlines()
    assert head.endswith("|test CRR (%)|manifests valid|other valid|manifests test|other test|")
    assert row.count("|") == head.count("|")
    assert f"{run} is finished" in sorigeul("train", corpus, other, run).err
    done = sorigeul("train", corpus, run)
    assert (done.status, "weights are 0.25 0.75, but there is one" in done.error()) == (2, True)


def test_a_corpus_is_no_folder_for_a_run(sorigeul: Command, corpus: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(corpus, other)
    done = sorigeul("train", corpus, other, "--max_steps", "1")
    assert done.status == 2
    assert f"{other} holds a prepared corpus: name the folder for the run" in done.error()
    assert sorted(path.name for path in other.iterdir()) == sorted(
        path.name for path in corpus.iterdir()
    )


@pytest.mark.parametrize(("setting", "old", "new"), [("hidden_size", 16, 8), ("n_mels", 16, 20)])
def test_a_run_keeps_the_model_that_it_began_with(
    sorigeul: Command, corpus: Path, copied_run: Path, setting: str, old: int, new: int
) -> None:
    before = {path: path.read_bytes() for path in copied_run.rglob("*") if path.is_file()}
    done = sorigeul("train", corpus, copied_run, f"--{setting}", str(new))
    assert done.status == 2
    assert f"was begun with {setting} {old}, not {new}" in done.error()
    for path, content in before.items():
        assert path.read_bytes() == content


def test_what_is_kept_in_memory_changes_no_number(corpus: Path, tmp_path: Path) -> None:
    """oneDNN keeps 64 compiled operations, and not all; freed memory is given back at step 50."""
    config = tmp_path / "config.yaml"
    config.write_text(tones.TINY.changed({"max_steps": 60}, "test").to_yaml(), encoding="utf-8")
    weights = []
    for number, capacity in enumerate(("1024", "64", "1")):
        run = tmp_path / f"run{number}"
        environment = {PRIMITIVES_VARIABLE: capacity}
        done = in_a_process("train", corpus, run, "--config", config, **environment)
        assert done.status == 0, done.err
        weights.append((run / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] == weights[2]


@pytest.mark.parametrize("options_first", [True, False])
def test_a_finished_run_goes_on_when_its_limits_are_raised(
    sorigeul: Command, corpus: Path, copied_run: Path, options_first: bool
) -> None:
    assert read_metrics(copied_run, "epoch")[-1]["step"] == 320
    places, options = [corpus, copied_run], ["--max_epochs", "5", "--max_steps=322"]
    done = sorigeul("train", *(options + places if options_first else places + options))
    assert done.status == 0
    assert "going on from step 320" in done.err
    epochs = read_metrics(copied_run, "epoch")
    assert [(row["epoch"], row["step"]) for row in epochs[-2:]] == [(3, 320), (4, 322)]
    assert len(done.out.splitlines()) == 1
    assert done.out.startswith("|4|")
    checkpoint = checkpoints.latest_checkpoint(copied_run)
    assert checkpoint is not None
    assert checkpoint["position"]["step"] == 322


def test_a_finished_run_is_reported_as_finished(
    sorigeul: Command, corpus: Path, copied_run: Path
) -> None:
    done = sorigeul("train", corpus, copied_run)
    assert (done.status, done.out) == (0, "")
    assert f"{copied_run} is finished; raise --max_epochs" in done.err
    done = sorigeul("train", corpus, copied_run, "--config", copied_run / "config.yaml")
    assert done.status == 0
