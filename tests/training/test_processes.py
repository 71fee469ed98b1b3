"""Several processes learn what one process would, and all of them end together."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import tones
from helpers.processes import Forked, Pause, Ranks, Rendezvous
from helpers.runs import equal, metrics_without_times, weights

from sorigeul.data import manifests
from sorigeul.data.sampling import training_batches
from sorigeul.data.statistics import manifest_statistics
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.learner import Learner
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import Run
from sorigeul.training.settings import Settings

STEPS = 26
SETTINGS = tones.TINY.changed(
    {
        # Joint CTC, guided attention, batch normalisation and drawn teacher forcing, but no noise.
        "guide_weight": 1.0,
        "teacher_forcing": 0.9,
        "label_smoothing": 0.1,
        # At this rate the rounding errors of float32 stay below the tolerance. At ten times the
        # rate, one process differs as much from itself if its weights are changed by 1e-7.
        "lr": 1e-4,
        "augment_ratio": 2.0,
        "max_steps": STEPS,
        "max_epochs": 9,
        "log_every": 1,
        "max_failures": 0.3,
    },
    "SETTINGS",
)


def train(corpus: Path, run: Path, processes: int = 1, **changes: Any) -> Ranks:
    """Train with `SETTINGS` in so many processes, which share the batches, and expect success."""
    config = run.with_suffix(".yaml")
    shared = {"batch_size": SETTINGS.data.batch_size // processes, **changes}
    config.write_text(SETTINGS.changed(shared, "test").to_yaml(), encoding="utf-8")
    command = ["train", corpus, run, "--config", config]
    ranks = Ranks(run.with_suffix(".output"), processes, *command)
    ranks.expect_success()
    return ranks


def step_losses(run: Path) -> list[float]:
    """The loss of each step; `metrics.jsonl` has the mean of the steps of an epoch so far."""
    losses = []
    sums: dict[int, tuple[int, float]] = {}
    for row in read_metrics(run, "step"):
        steps, sum_before = sums.get(row["epoch"], (0, 0.0))
        sum_now = row["train_loss"] * (steps + 1)
        losses.append(sum_now - sum_before)
        sums[row["epoch"]] = steps + 1, sum_now
    return losses


@pytest.fixture(scope="module")
def one_process(one_unreadable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("one_process") / "run"
    train(one_unreadable, run)
    return run


@pytest.fixture(scope="module")
def two_processes(one_unreadable: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("two_processes") / "run"
    train(one_unreadable, run, 2)
    return run


def test_two_processes_follow_the_loss_curve_of_one(
    one_unreadable: Path, one_process: Path, two_processes: Path
) -> None:
    cuts = manifests.required_manifest(one_unreadable, "train")
    vocabulary = Vocabulary.from_characters(manifest_statistics(cuts).characters)
    sampler = training_batches(cuts, vocabulary, SETTINGS.data, SETTINGS.training.seed).sampler
    assert any(len(batch) == 1 for batch in sampler), "no share is empty: this proves too little"

    one, two = step_losses(one_process), step_losses(two_processes)
    assert len(one) == len(two) == STEPS
    assert max(abs(a - b) for a, b in zip(one, two, strict=True)) < 1e-3
    assert one[0] - one[-1] > 0.02, "nothing was learnt: this proves too little"
    one_norms, two_norms = (
        [row["gradient_norm"] for row in read_metrics(run, "step")[:5]]
        for run in (one_process, two_processes)
    )
    assert one_norms == pytest.approx(two_norms, rel=1e-3)


def test_two_processes_have_the_metrics_of_one(one_process: Path, two_processes: Path) -> None:
    one, two = read_metrics(one_process, "epoch"), read_metrics(two_processes, "epoch")
    assert sum(row["failures"] for row in one) >= 3
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for name in ("step", "failures", "skipped_steps", "train_crr", "valid_crr", "test_crr"):
            assert a[name] == b[name], name
        for name in ("valid_loss", "test_loss", "valid_ctc_crr", "learning_rate"):
            assert a[name] == pytest.approx(b[name], rel=1e-3), name


def test_two_processes_end_with_the_weights_of_one(one_process: Path, two_processes: Path) -> None:
    one, two = weights(one_process), weights(two_processes)
    difference = torch.cat([(one[name] - two[name]).double().flatten() for name in one])
    norm = torch.cat([one[name].double().flatten() for name in one]).norm()
    assert difference.norm() < 1e-3 * norm
    for name in one:  # on its own, the first process would have the statistics of its half only
        if "running" in name:
            torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-4)


def test_two_processes_accumulate_batches_as_one_does(one_unreadable: Path, tmp_path: Path) -> None:
    for processes in (1, 2):
        run = tmp_path / str(processes)
        train(one_unreadable, run, processes, accumulate=3, max_steps=3)
    one, two = step_losses(tmp_path / "1"), step_losses(tmp_path / "2")
    assert len(one) == 3
    assert one == pytest.approx(two, abs=1e-4)


def test_processes_share_random_draws_only_where_they_must(
    one_unreadable: Path, two_processes: Path, tmp_path: Path
) -> None:
    """They share the initial weights, and which batches are teacher-forced; not dropout."""
    state = torch.load(max((two_processes / "checkpoints").glob("*.pt")), weights_only=True)
    first, second = (generators["torch"] for generators in state["random"])
    assert not torch.equal(first, second), "both processes would draw the same dropout"
    changes: dict[str, Any] = {"dropout": 0.3, "teacher_forcing": 0.5, "max_steps": 4}
    runs = [tmp_path / name for name in ("first", "second")]
    for run in runs:
        train(one_unreadable, run, 2, **changes)
    assert metrics_without_times(runs[0]) == metrics_without_times(runs[1])
    assert equal(weights(runs[0]), weights(runs[1]))


def test_checking_the_memory_in_two_processes_changes_nothing(
    one_unreadable: Path, two_processes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On GPUs every run begins with it."""
    begin_or_resume = Run.begin_or_resume

    def begin_and_check_memory(run: Run) -> None:
        begin_or_resume(run)
        run.check_memory()

    monkeypatch.setattr(Run, "begin_or_resume", begin_and_check_memory)
    train(one_unreadable, tmp_path / "run", 2, max_steps=5)
    assert step_losses(tmp_path / "run") == step_losses(two_processes)[:5]


def test_processes_whose_shares_differ_in_size_compute_alike(
    one_unreadable: Path, two_processes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large batch would have its statistics summed twice, by the process alone that has it."""
    monkeypatch.setattr("sorigeul.training.learner._LARGE_BATCH", 0)  # any but an empty share
    train(one_unreadable, tmp_path / "run", 2)
    assert step_losses(tmp_path / "run") == step_losses(two_processes)


# Errors in one or all of them


def test_an_error_in_one_process_ends_all_and_is_reported_once(
    one_unreadable: Path, tmp_path: Path
) -> None:
    """For example, if one machine does not see the corpus."""
    rendezvous = Rendezvous()
    ranks = [
        Forked(
            tmp_path / str(rank),
            "train",
            corpus,
            tmp_path / "run",
            **rendezvous.torchrun_environment(rank, 2),
        )
        for rank, corpus in enumerate((one_unreadable, tmp_path / "nowhere"))
    ]
    first, second = (rank.done() for rank in ranks)
    assert (first.status, second.status) == (2, 2)
    assert first.error().startswith(f"{tmp_path / 'nowhere'} is no folder of manifests")
    assert second.err == ""


def write_config(folder: Path, settings: Settings) -> list[str | Path]:
    (folder / "s.yaml").write_text(settings.to_yaml(), encoding="utf-8")
    return ["--config", folder / "s.yaml"]


def test_all_processes_end_if_the_loss_is_not_finite(one_unreadable: Path, tmp_path: Path) -> None:
    options = [*write_config(tmp_path, SETTINGS), "--batch_size", "4"]
    options += ["--lr", "100", "--weight_decay", "1"]  # each step makes the weights 99 times larger
    ranks = Ranks(tmp_path, 2, "train", one_unreadable, tmp_path / "run", *options)
    first, second = (rank.done() for rank in ranks)
    assert (first.status, second.status) == (2, 2)
    assert first.error().startswith("the loss was not finite 10 steps in a row: lower lr")
    skipped = [line for line in first.err.splitlines() if "skipped: loss" in line]
    steps = [int(line.split("step ")[1].split()[0]) for line in skipped]
    assert steps[-10:] == [*range(steps[-1] - 9, steps[-1] + 1)]
    assert not any(
        steps[n : n + 10] == [*range(steps[n], steps[n] + 10)] for n in range(len(steps) - 10)
    )
    assert max(len(line.split("utterances ")[1].split(", ")) for line in skipped) > 4
    assert "skipped" not in second.err


def test_a_run_resumes_with_another_number_of_processes(
    one_unreadable: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    one_epoch = SETTINGS.changed({"max_steps": 0, "max_epochs": 1, "checkpoint_every": 4}, "test")
    command = ["train", one_unreadable, run, *write_config(tmp_path, one_epoch)]
    pause = Pause(5, [(Learner, "step")])
    ranks = Ranks(tmp_path / "two", 2, *command, "--batch_size", "4", pause=pause)
    assert ranks[0].wait_until_paused()
    assert (run / "checkpoints" / "step-000000004.pt").exists()
    for rank in ranks:
        rank.kill(signal.SIGKILL)
    for rank in ranks:
        assert rank.done().status == -signal.SIGKILL
    done = Forked(tmp_path / "one", *command).done()
    assert done.status == 0, done.err
    assert (
        "warning: batch_size, the number of processes changed: epoch 0 begins again from its first "
        "batch" in done.err.splitlines()
    )
    (row,) = read_metrics(run, "epoch")
    assert row["step"] > 4 + 33 * 3 / 8
    assert row["failures"] == 3
