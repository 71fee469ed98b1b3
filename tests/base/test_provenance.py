"""What a run records of how it came about."""

import json
import os
import shlex
import subprocess
from pathlib import Path

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
def test_a_command_is_told_as_it_would_be_typed(words: list[str]) -> None:
    assert shlex.split(provenance.command_line(words)) == words


def test_a_command_does_not_tell_whose_home_it_was_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "own"
    monkeypatch.setenv("HOME", str(home))
    words = ["train", f"{home}/my data", f"--config={home}/a.yaml", f"{home}er/x"]
    told = provenance.command_line(words)
    assert told == f"train ~/'my data' --config=~/a.yaml {home}er/x"
    monkeypatch.setenv("HOME", "/")
    assert provenance.command_line(["/data/x"]) == "/data/x"


def test_facts_name_the_code_and_the_machine() -> None:
    found = provenance.run_facts("sorigeul train a b", CPU)
    assert found["command"] == "sorigeul train a b"
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert found["machine"]
    assert 0.1 < found["memory_gib"] < 100_000
    json.dumps(found)
    told = json.dumps(found)
    assert os.uname().nodename not in told or len(os.uname().nodename) < 4
    head = subprocess.run(
        ["git", "-C", str(Path(provenance.__file__).parent), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    if head.returncode == 0:
        assert found["commit"].removesuffix("+changes") == head.stdout.strip()


def test_a_run_keeps_how_it_began_and_how_it_went_on(tmp_path: Path) -> None:
    one = provenance.run_facts("sorigeul train a b", CPU)
    provenance.begin_record(tmp_path, one, "2026-11-22", 1)
    assert provenance.read_record(tmp_path) == {
        **one,
        "processes": 1,
        "started": "2026-11-22",
        "training_seconds": 0.0,
        "finished": False,
        "earlier": [],
    }
    provenance.end_record(tmp_path, 12.34, False)
    provenance.begin_record(tmp_path, one, "2026-11-22", 1)  # the same command went on
    record = provenance.read_record(tmp_path) or {}
    assert (record["training_seconds"], record["earlier"]) == (12.3, [])
    other = {**one, "command": "sorigeul train a b --max_epochs 9", "threads": 64}
    provenance.begin_record(tmp_path, other, "2026-11-22", 4)
    provenance.end_record(tmp_path, 99.0, True)
    assert provenance.read_record(tmp_path) == {
        **other,
        "processes": 4,
        "started": "2026-11-22",
        "training_seconds": 99.0,
        "finished": True,
        "earlier": [one],
    }


def test_a_run_from_before_there_were_records_gets_none_by_ending(tmp_path: Path) -> None:
    provenance.end_record(tmp_path, 1.0, True)
    assert provenance.read_record(tmp_path) is None
    assert provenance.lines(tmp_path) == []


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"run\.json is damaged"):
        provenance.read_record(tmp_path)


def test_a_training_leaves_its_record(sorigeul: Command, corpus: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", str(corpus), str(run), *TINY.split()]
    assert sorigeul(*words).status == 0
    record = provenance.read_record(run) or {}
    assert record["command"] == shlex.join(["sorigeul", *words])
    assert record["finished"]
    assert record["processes"] == 1
    assert record["training_seconds"] > 0
    before = (run / "run.json").read_bytes()
    assert sorigeul(*words).status == 0  # finished: nothing is trained, nothing changes
    assert (run / "run.json").read_bytes() == before
    told = sorigeul("info", run).out
    assert f"command: {record['command']}\n" in told
    assert f"machine: {record['machine']}\n" in told
