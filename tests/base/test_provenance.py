"""The record of a run: command, code, machine, what changed when it resumed."""

import json
import os
import shlex
import subprocess
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers.commands import Command

from sorigeul.base import provenance
from sorigeul.base.errors import UserError

CPU = torch.device("cpu")
TINY = (
    "--hidden_size 8 --conv_channels 4 --listener_layer_size 3 --n_mels 20 --batch_size 4 "
    "--max_steps 2 --preset seed"
)


@pytest.mark.parametrize(
    "words", [["sorigeul", "train", "data/x", "--lr", "1e-4"], ["a b", "c'd", "--x=$y z", "", "가"]]
)
def test_a_command_is_recorded_as_one_would_type_it(words: list[str]) -> None:
    assert shlex.split(provenance.command_line(words)) == words


def test_a_recorded_command_does_not_contain_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "user"
    monkeypatch.setenv("HOME", str(home))
    words = ["train", f"{home}/my data", f"--config={home}/a.yaml", f"{home}er/x"]
    command = provenance.command_line(words)
    assert command == f"train ~/'my data' --config=~/a.yaml {home}er/x"
    monkeypatch.setenv("HOME", "/")
    assert provenance.command_line(["/data/x"]) == "/data/x"


def test_facts_name_the_code_and_the_machine() -> None:
    facts = provenance.run_facts("sorigeul train a b", CPU)
    assert facts["command"] == "sorigeul train a b"
    assert facts["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert facts["machine"]
    assert 0.1 < facts["memory_gib"] < 100_000
    host = os.uname().nodename
    assert host not in json.dumps(facts) or len(host) < 4  # a short one may be part of a word
    head = subprocess.run(
        ["git", "-C", str(Path(provenance.__file__).parent), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    if head.returncode == 0:
        assert facts["commit"].removesuffix("+changes") == head.stdout.strip()


def test_the_record_keeps_the_facts_from_before_a_run_was_resumed(tmp_path: Path) -> None:
    facts = provenance.run_facts("sorigeul train a b", CPU)
    provenance.begin_record(tmp_path, facts, "2026-11-22", 1)
    assert provenance.read_record(tmp_path) == {
        **facts,
        "processes": 1,
        "started": "2026-11-22",
        "training_seconds": 0.0,
        "finished": False,
        "earlier": [],
    }
    provenance.end_record(tmp_path, 12.34, False)
    provenance.begin_record(tmp_path, facts, "2026-11-22", 1)  # resumed by the same command
    record = provenance.read_record(tmp_path) or {}
    assert (record["training_seconds"], record["earlier"]) == (12.3, [])
    other = {**facts, "command": "sorigeul train a b --max_epochs 9", "threads": 64}
    provenance.begin_record(tmp_path, other, "2026-11-22", 4)
    provenance.end_record(tmp_path, 99.0, True)
    assert provenance.read_record(tmp_path) == {
        **other,
        "processes": 4,
        "started": "2026-11-22",
        "training_seconds": 99.0,
        "finished": True,
        "earlier": [facts],
    }


def test_a_run_without_a_record_gets_none_at_its_end(tmp_path: Path) -> None:
    provenance.end_record(tmp_path, 1.0, True)
    assert provenance.read_record(tmp_path) is None
    assert provenance.lines(tmp_path) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"earlier": 3}', '{"earlier": ["a"]}', "[" * 10**5])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        provenance.read_record(tmp_path)


def test_a_training_writes_its_record(
    sorigeul: Command, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock that advances by a second whenever it is read: the training takes some time to the
    # precision of the record, on a machine of any speed.
    seconds = count()
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)))
    monkeypatch.setattr("sorigeul.training.run.time", clock)
    run = tmp_path / "run"
    words = ["train", str(corpus), str(run), *TINY.split()]
    assert sorigeul(*words).status == 0
    record = provenance.read_record(run) or {}
    assert record["command"] == shlex.join(["sorigeul", *words])
    assert record["finished"]
    assert record["processes"] == 1
    assert record["training_seconds"] > 0
    assert record["seed"] == 0
    (trained_on,) = provenance.training_corpora(record)
    assert (trained_on.name, trained_on.corpora) == ("manifests", ("table",))
    assert (trained_on.utterances, trained_on.speakers) == (40, 4)
    before = (run / "run.json").read_bytes()
    assert sorigeul(*words).status == 0  # the run is finished, so nothing changes
    assert (run / "run.json").read_bytes() == before
    info = sorigeul("info", run).out
    assert f"command: {record['command']}\n" in info
    assert f"machine: {record['machine']}\n" in info
    assert f"corpus: manifests, 40 utterances, {trained_on.hours:g} hours, 4 speakers\n" in info
