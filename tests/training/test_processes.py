"""Several processes learn what one would, however they are started, and agree how it ends."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tones
from helpers.processes import Forked, company, meeting_point
from helpers.runs import curve, equal, weights

from sorigeul.data import manifests
from sorigeul.data.sampling import training_batches
from sorigeul.data.statistics import manifest_statistics
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import Run
from sorigeul.training.settings import Settings

STEPS = 50
CURVE = tones.TINY.changed(
    {
        # Joint CTC, its guide, batch normalisation, teacher forcing that is drawn, no other noise.
        "guide_weight": 1.0,
        "teacher_forcing": 0.9,
        "label_smoothing": 0.1,
        "precision": "float32",
        # Of a rate at which float32's rounding does not grow into more than the tolerance: with
        # ten times this, one process differs as much from itself with weights changed by 1e-7.
        "lr": 1e-4,
        "augment_ratio": 2.0,
        "max_steps": STEPS,
        "max_epochs": 9,
        "log_every": 1,
        "max_failures": 0.3,
    },
    "CURVE",
)


@pytest.fixture(scope="module")
def gappy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of 33 utterances to train on, one of which cannot be read, 4 for dev and test."""
    folder = tmp_path_factory.mktemp("gappy")
    splits = ["test"] * 4 + ["dev"] * 4 + ["train"] * 33
    manifests = tones.manifests(folder, tones.texts(41), splits)
    (folder / "audio" / "u20.wav").write_bytes(b"no sound")
    return manifests


def trained(
    corpus: Path, run: Path, settings: Settings, processes: int = 1, **changes: Any
) -> list[Forked]:
    """Train in so many processes, which share the batches out, and expect it to work."""
    config = run.with_suffix(".yaml")
    shared_out = {"batch_size": settings.data.batch_size // processes, **changes}
    config.write_text(settings.changed(shared_out, "test").to_yaml(), encoding="utf-8")
    at_work = company(run.with_suffix(".said"), processes, "train", corpus, run, "--config", config)
    for one in at_work:
        assert one.done().status == 0, one.done().err
    return at_work


def losses(run: Path) -> list[float]:
    """The loss of each step, from the means of the epoch so far that a run writes down."""
    found, sums = [], {}
    for row in read_metrics(run, "step"):
        steps, before = sums.get(row["epoch"], (0, 0.0))
        total = row["train_loss"] * (steps + 1)
        found.append(total - before)
        sums[row["epoch"]] = steps + 1, total
    return found


@pytest.fixture(scope="module")
def alone(gappy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    trained(gappy, run, CURVE)
    return run


@pytest.fixture(scope="module")
def pair(gappy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("pair") / "run"
    trained(gappy, run, CURVE, 2)
    return run


def test_two_processes_follow_the_loss_curve_of_one(gappy: Path, alone: Path, pair: Path) -> None:
    cuts = manifests.required_manifest(gappy, "train")
    vocabulary = Vocabulary.from_characters(manifest_statistics(cuts).characters)
    drawn = training_batches(cuts, vocabulary, CURVE.data, CURVE.training.seed).sampler
    assert any(len(batch) == 1 for batch in drawn), "no share is empty: it proves too little"

    one, two = losses(alone), losses(pair)
    assert len(one) == len(two) == STEPS
    assert max(abs(a - b) for a, b in zip(one, two, strict=True)) < 1e-4
    assert one[0] - one[-1] > 0.05, "nothing was learnt: it proves too little"
    first_norms = [
        [row["gradient_norm"] for row in read_metrics(run, "step")[:5]] for run in (alone, pair)
    ]
    assert first_norms[0] == pytest.approx(first_norms[1], rel=1e-3)


def test_two_processes_count_and_judge_what_one_does(alone: Path, pair: Path) -> None:
    one, two = read_metrics(alone, "epoch"), read_metrics(pair, "epoch")
    assert sum(row["failures"] for row in one) >= 3
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for name in ("step", "failures", "skipped_steps", "train_crr", "valid_crr", "test_crr"):
            assert a[name] == b[name], name
        for name in ("valid_loss", "test_loss", "valid_ctc_crr", "learning_rate"):
            assert a[name] == pytest.approx(b[name], rel=1e-3), name


def test_two_processes_end_with_the_weights_of_one(alone: Path, pair: Path) -> None:
    one, two = weights(alone), weights(pair)
    apart = torch.cat([(one[name] - two[name]).double().flatten() for name in one])
    size = torch.cat([one[name].double().flatten() for name in one])
    assert apart.norm() < 1e-3 * size.norm()
    for name in one:  # the first process alone would publish statistics of its half
        if "running" in name:
            torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-4)


def test_two_processes_accumulate_as_one_does(gappy: Path, tmp_path: Path) -> None:
    for processes in (1, 2):
        trained(gappy, tmp_path / str(processes), CURVE, processes, accumulate=3, max_steps=5)
    one, two = losses(tmp_path / "1"), losses(tmp_path / "2")
    assert len(one) == 5
    assert one == pytest.approx(two, abs=1e-4)


def test_draws_are_shared_where_they_must_be_and_only_there(
    gappy: Path, pair: Path, tmp_path: Path
) -> None:
    """Nothing was drawn there but weights, and whether to force: else the states would differ."""
    state = torch.load(max((pair / "checkpoints").glob("*.pt")), weights_only=True)
    first, second = (random["torch"] for random in state["random"])
    assert not torch.equal(first, second), "both processes would drop out the same"
    changes: dict[str, Any] = {"dropout": 0.3, "teacher_forcing": 0.5, "max_steps": 8}
    trained(gappy, tmp_path / "one", CURVE, 2, **changes)
    trained(gappy, tmp_path / "again", CURVE, 2, **changes)
    assert curve(tmp_path / "one") == curve(tmp_path / "again")
    assert equal(weights(tmp_path / "one"), weights(tmp_path / "again"))


def test_processes_rehearse_together(
    gappy: Path, pair: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they do on GPUs, and nothing becomes of it."""
    restore = Run.restore

    def restore_and_rehearse(run: Run) -> None:
        restore(run)
        run.check_memory()

    monkeypatch.setattr(Run, "restore", restore_and_rehearse)
    trained(gappy, tmp_path / "run", CURVE, 2, max_steps=5)
    assert losses(tmp_path / "run") == losses(pair)[:5]


# Starting them


@pytest.fixture(scope="module")
def short(gappy: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str | Path], Path]:
    """Options of a run of three steps, and where two processes made it."""
    run = tmp_path_factory.mktemp("short") / "run"
    trained(gappy, run, CURVE, 2, max_steps=3)
    return ["--config", run.with_suffix(".yaml")], run


@pytest.mark.parametrize("launcher", ["torchrun", "devices"])
def test_the_commands_that_start_several_processes(
    gappy: Path, short: tuple[list[str | Path], Path], tmp_path: Path, launcher: str
) -> None:
    options, expected = short
    command = ["sorigeul", "train", gappy, tmp_path / "run", *options]
    if launcher == "torchrun":
        command = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", *command]
    else:
        command += ["--devices", "2"]
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert curve(tmp_path / "run") == curve(expected)
    assert equal(weights(tmp_path / "run"), weights(expected))
    # One voice, but a warning of each process about its own files.
    assert done.stdout.count("|Epoch|") == 1
    said = [line for line in done.stderr.splitlines() if "left out" not in line]
    assert [line for line in said if "OMP_NUM_THREADS" not in line and "***" not in line] == []


def test_nodes_and_slurm_start_them_as_well(
    gappy: Path, short: tuple[list[str | Path], Path], tmp_path: Path
) -> None:
    options, expected = short
    address, port = meeting_point()
    met = {"MASTER_ADDR": address, "MASTER_PORT": port}
    ways = {
        # As torchrun on two machines, with one process each.
        "nodes": lambda rank: {
            "TORCHELASTIC_RUN_ID": "test",
            "RANK": rank,
            "WORLD_SIZE": "2",
            "LOCAL_RANK": "0",
            "LOCAL_WORLD_SIZE": "1",
            "GROUP_RANK": rank,
        },
        # As srun in a job of one node with two tasks.
        "slurm": lambda rank: {
            "SLURM_JOB_ID": "1",
            "SLURM_JOB_NAME": "train",
            "SLURM_NNODES": "1",
            "SLURM_NTASKS": "2",
            "SLURM_NTASKS_PER_NODE": "2",
            "SLURM_PROCID": rank,
            "SLURM_LOCALID": rank,
            "SLURM_NODEID": "0",
        },
    }
    for way, variables in ways.items():
        run = tmp_path / way
        at_work = [
            Forked(
                tmp_path / f"{way}{rank}", "train", gappy, run, *options, **met, **variables(rank)
            )
            for rank in ("0", "1")
        ]
        for one in at_work:
            assert one.done().status == 0, one.done().err
        assert equal(weights(run), weights(expected)), way


def test_who_starts_them_decides_how_many_there_are(gappy: Path, tmp_path: Path) -> None:
    command = ["train", gappy, tmp_path / "run", "--devices", "3"]
    for one in company(tmp_path / "torchrun", 2, *command):
        assert one.done().status == 2
        assert one.done().error() == (
            "devices is 3, but torchrun started 2 here (--nproc-per-node): leave devices out, or "
            "give 2"
        )
    slurm = {"SLURM_NTASKS": "4", "SLURM_JOB_NAME": "train"}
    done = Forked(tmp_path / "slurm", *command, **slurm).done()
    assert done.status == 2
    assert done.error().endswith("--ntasks-per-node")
    assert not (tmp_path / "run").exists()


# What goes wrong in one of them


def test_what_one_process_refuses_ends_all_and_is_said_once(gappy: Path, tmp_path: Path) -> None:
    """Such as a machine that does not see the corpus."""
    address, port = meeting_point()
    at_work = [
        Forked(
            tmp_path / str(rank),
            "train",
            place,
            tmp_path / "run",
            TORCHELASTIC_RUN_ID="test",
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE="2",
            LOCAL_WORLD_SIZE="2",
            MASTER_ADDR=address,
            MASTER_PORT=port,
        )
        for rank, place in enumerate((gappy, tmp_path / "nowhere"))
    ]
    first, second = (one.done() for one in at_work)
    assert (first.status, second.status) == (2, 2)
    assert first.error().startswith(f"{tmp_path / 'nowhere'} is no folder of manifests")
    assert second.err == ""


def test_all_agree_that_the_loss_is_not_finite(gappy: Path, tmp_path: Path) -> None:
    options = ["--config", tmp_path / "s.yaml", "--lr", "1e38", "--batch_size", "4"]
    (tmp_path / "s.yaml").write_text(CURVE.to_yaml(), encoding="utf-8")
    at_work = company(tmp_path, 2, "train", gappy, tmp_path / "run", *options)
    first, second = (one.done() for one in at_work)
    assert (first.status, second.status) == (2, 2)
    assert first.error().startswith("the loss was not finite 10 steps in a row: lower lr")
    skipped = [line for line in first.err.splitlines() if "skipped: loss" in line]
    assert len(skipped) == 10
    assert max(len(line.split("utterances ")[1].split(", ")) for line in skipped) > 4
    assert "skipped" not in second.err


def test_a_run_goes_on_with_another_number_of_processes(gappy: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--config", tmp_path / "s.yaml"]
    whole = CURVE.changed({"max_steps": 0, "max_epochs": 1, "checkpoint_every": 4}, "test")
    (tmp_path / "s.yaml").write_text(whole.to_yaml(), encoding="utf-8")
    at_work = company(
        tmp_path / "two", 2, "train", gappy, run, *options, "--batch_size", "4", "--max_steps", "6"
    )
    for one in at_work:
        one.wait_until(lambda: (run / "checkpoints" / "step-000000004.pt").exists())
        os.kill(one.pid, 9)
    done = Forked(tmp_path / "one", "train", gappy, run, *options).done()
    assert done.status == 0, done.err
    assert (
        "warning: batch_size, the number of processes changed: epoch 0 begins again from its first "
        "batch" in done.err.splitlines()
    )
    (row,) = read_metrics(run, "epoch")
    assert row["step"] > 4 + 33 * 3 / 8
    assert row["failures"] == 3
