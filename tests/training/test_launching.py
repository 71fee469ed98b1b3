"""Starting the processes of a run: by `--devices`, by torchrun, on several nodes, under Slurm."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import tones
from helpers.processes import Forked, Ranks, Rendezvous
from helpers.runs import equal, metrics_without_times, weights

SETTINGS = tones.TINY.changed(
    {
        "guide_weight": 1.0,
        "teacher_forcing": 0.9,
        "label_smoothing": 0.1,
        "precision": "float32",
        "lr": 1e-4,
        "augment_ratio": 2.0,
        "batch_size": 4,
        "max_steps": 3,
        "log_every": 1,
        "max_failures": 0.3,
    },
    "SETTINGS",
)


@pytest.fixture(scope="module")
def option(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The option for a run of three steps."""
    path = tmp_path_factory.mktemp("option") / "s.yaml"
    path.write_text(SETTINGS.to_yaml(), encoding="utf-8")
    return ["--config", path]


@pytest.fixture(scope="module")
def expected(
    one_unreadable: Path, option: list[str | Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run of two processes."""
    folder = tmp_path_factory.mktemp("expected")
    command = ["train", one_unreadable, folder / "run", *option]
    Ranks(folder / "output", 2, *command).expect_success()
    return folder / "run"


@pytest.mark.parametrize("launcher", ["torchrun", "devices"])
def test_a_command_starts_several_processes(
    one_unreadable: Path, option: list[str | Path], expected: Path, tmp_path: Path, launcher: str
) -> None:
    run = tmp_path / "run"
    command = ["train", one_unreadable, run, *option]
    if launcher == "torchrun":
        torchrun = ("--standalone", "--nproc-per-node=2", "-m", "sorigeul", *command)
        done = Forked(tmp_path / "output", *torchrun, module="torch.distributed.run").done()
    else:
        done = Forked(tmp_path / "output", *command, "--devices", "2", module="sorigeul").done()
    assert done.status == 0, done.err
    assert metrics_without_times(run) == metrics_without_times(expected)
    assert equal(weights(run), weights(expected))
    # One process prints the table; each warns of the recordings that it cannot read.
    assert done.out.count("|Epoch|") == 1
    unexpected = [
        line
        for line in done.err.splitlines()
        if "left out" not in line and "OMP_NUM_THREADS" not in line and "***" not in line
    ]
    assert unexpected == []


@pytest.mark.prove
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two threads need two cores")
def test_the_processes_of_a_command_share_its_threads(
    one_unreadable: Path, option: list[str | Path], expected: Path, tmp_path: Path
) -> None:
    command = ["train", one_unreadable, tmp_path / "run", *option, "--devices", "2"]
    done = Forked(tmp_path / "output", *command, "--threads", "2", module="sorigeul").done()
    assert done.status == 0, done.err
    assert json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))["threads"] == 1
    assert equal(weights(tmp_path / "run"), weights(expected))


def two_nodes(rank: str) -> dict[str, str]:
    """What torchrun sets on two machines with one process each."""
    return {
        "TORCHELASTIC_RUN_ID": "test",
        "RANK": rank,
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
        "LOCAL_WORLD_SIZE": "1",
        "GROUP_RANK": rank,
    }


def slurm(rank: str) -> dict[str, str]:
    """What srun sets in a job of one node with two tasks."""
    return {
        "SLURM_JOB_ID": "1",
        "SLURM_JOB_NAME": "train",
        "SLURM_NNODES": "1",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_PROCID": rank,
        "SLURM_LOCALID": rank,
        "SLURM_NODEID": "0",
    }


@pytest.mark.parametrize("environment", [two_nodes, slurm])
def test_processes_on_two_nodes_or_under_slurm_find_each_other(
    one_unreadable: Path,
    option: list[str | Path],
    expected: Path,
    tmp_path: Path,
    environment: Callable[[str], dict[str, str]],
) -> None:
    rendezvous = Rendezvous()
    ranks = [
        Forked(
            tmp_path / rank,
            "train",
            one_unreadable,
            tmp_path / "run",
            *option,
            **rendezvous.environment,
            **environment(rank),
        )
        for rank in ("0", "1")
    ]
    for process in ranks:
        assert process.done().status == 0, process.done().err
    assert equal(weights(tmp_path / "run"), weights(expected))


def test_the_launcher_decides_how_many_processes_there_are(
    one_unreadable: Path, tmp_path: Path
) -> None:
    command = ["train", one_unreadable, tmp_path / "run", "--devices", "3"]
    for process in Ranks(tmp_path / "torchrun", 2, *command):
        assert process.done().status == 2
        assert process.done().error() == (
            "devices is 3, but torchrun started 2 here (--nproc-per-node): leave devices out, or "
            "give 2"
        )
    environment = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train"}
    done = Forked(tmp_path / "slurm", *command, **environment).done()
    assert done.status == 2
    assert done.error().endswith("--ntasks-per-node")
    assert not (tmp_path / "run").exists()
