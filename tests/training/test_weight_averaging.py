"""Averages of weights: a moving average over the steps, and the mean of the best epochs."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.learners import PLAIN, equal, new_learner, take_steps, weights
from helpers.processes import Ranks
from helpers.runs import (
    THREE_EPOCHS,
    checkpoints,
    config_option,
    identical,
    metrics_without_times,
    settings,
    state_without_times,
)
from helpers.runs import weights as run_weights
from safetensors.torch import load_file
from torch import Tensor

from sorigeul.data.batches import Batch
from sorigeul.training import devices
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import Run, train
from sorigeul.training.running_totals import dev_crr
from sorigeul.training.weight_averaging import average_weights

# The moving average


def test_the_moving_average_equals_the_one_computed_by_hand(batches: list[Batch]) -> None:
    learner = new_learner(PLAIN.changed({"ema_decay": 0.25}, "test"))
    expected = weights(learner)
    # The first weights are taken as they are. Then the decay rises to the setting, and no further.
    for decay in (0.0, 2 / 11, 3 / 12, 0.25):
        take_steps(learner, batches, 1)
        newest = weights(learner)
        for name, parameter in learner.las.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
    for name, tensor in learner.evaluated_model.state_dict().items():
        if name in dict(learner.las.named_parameters()):
            torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)
            assert not torch.equal(tensor, newest[name])
        else:
            assert torch.equal(tensor, newest[name]), name
    assert not learner.evaluated_model.training


def test_averaging_does_not_change_the_training(batches: list[Batch]) -> None:
    averaging, plain = new_learner(PLAIN.changed({"ema_decay": 0.9}, "test")), new_learner(PLAIN)
    assert take_steps(averaging, batches, 3) == take_steps(plain, batches, 3)
    assert equal(weights(averaging), weights(plain))
    assert plain.evaluated_model is plain.las


def test_a_skipped_step_does_not_change_the_moving_average(batches: list[Batch]) -> None:
    learner = new_learner(PLAIN.changed({"ema_decay": 0.9}, "test"))
    take_steps(learner, batches, 1)
    before = copy.deepcopy(dict(learner.evaluated_model.named_parameters()))
    bad_batch = copy.deepcopy(batches[0])
    bad_batch.waveforms[0, :100] = torch.nan
    (step,) = take_steps(learner, [bad_batch], 1)
    assert not step.updated
    assert equal(before, dict(learner.evaluated_model.named_parameters()))


def test_the_moving_average_is_what_is_published(babble: Path, tmp_path: Path) -> None:
    train(babble, tmp_path / "run", settings(ema_decay=0.5))
    (checkpoint,) = checkpoints(tmp_path / "run")
    state = torch.load(checkpoint, weights_only=True)
    published = load_file(tmp_path / "run" / "model.safetensors")
    assert equal(published, averaged_weights(state))
    assert not equal(published, state["model"])


def averaged_weights(state: dict[str, Any]) -> dict[str, Tensor]:
    """The moving average in a checkpoint, under the names of the model's weights."""
    prefix = "module."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in state["average"].items()
        if name.startswith(prefix)
    }


# Without shared jamo embeddings, so that saved and published weights have the same names.
AVERAGING = {
    **THREE_EPOCHS,
    "share_letters": False,
    "jamo_ctc_weight": 0.0,
    "ema_decay": 0.9,
    "average_best": 2,
}


@pytest.fixture(scope="module")
def averaging_run(babble: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs that averages its weights in both ways."""
    run = tmp_path_factory.mktemp("averaging") / "run"
    train(babble, run, settings(**AVERAGING))
    return run


def saved_weights(run: Path) -> dict[str, dict[str, Tensor]]:
    """File name -> weights, for the published model and the best epochs."""
    return {path.name: load_file(path) for path in run.rglob("*.safetensors")}


def test_a_run_that_averages_resumes_to_the_bit(
    babble: Path, averaging_run: Path, tmp_path: Path
) -> None:
    """From the middle of its last epoch."""
    run = tmp_path / "run"
    shutil.copytree(averaging_run, run)
    checkpoints(run)[-1].unlink()
    train(babble, run, settings(**AVERAGING))
    assert identical(state_without_times(run), state_without_times(averaging_run))
    assert metrics_without_times(run) == metrics_without_times(averaging_run)
    assert identical(saved_weights(run), saved_weights(averaging_run))


def test_a_resumed_run_may_start_or_stop_averaging(babble: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(babble, run, settings())
    before = run_weights(run)
    name = "speller.out.weight"
    train(babble, run, settings(max_steps=4, ema_decay=0.5))
    first = averaged_weights(torch.load(checkpoints(run)[-1], weights_only=True))[name]
    assert torch.equal(first, run_weights(run)[name])
    assert not torch.equal(first, before[name])
    train(babble, run, settings(max_steps=5, ema_decay=0.5))
    second = averaged_weights(torch.load(checkpoints(run)[-1], weights_only=True))[name]
    torch.testing.assert_close(second, 2 / 11 * first + 9 / 11 * run_weights(run)[name])
    train(babble, run, settings(max_steps=6))
    assert torch.load(checkpoints(run)[-1], weights_only=True)["average"] is None


# The mean of the best epochs


def test_every_tensor_is_averaged() -> None:
    first = {"a": torch.tensor([1.0, 2.0]), "count": torch.tensor(3)}
    second = {"a": torch.tensor([2.0, 6.0]), "count": torch.tensor(6)}
    mean = average_weights([first, second])
    assert mean["a"].tolist() == [1.5, 4.0]
    assert mean["a"].dtype == torch.float32
    assert mean["count"] == 4
    random = {"a": torch.randn(100)}
    assert equal(average_weights([random] * 3), random)


def test_only_the_weights_of_the_best_epochs_are_kept(averaging_run: Path) -> None:
    rates = [(dev_crr(row), row["epoch"]) for row in read_metrics(averaging_run, "epoch")]
    assert len(rates) == 3
    best = sorted(rates, reverse=True)[:2]
    names = {f"best-{epoch:04d}.safetensors" for _, epoch in best}
    assert saved_weights(averaging_run).keys() == {"model.safetensors", *names}
    (row,) = read_metrics(averaging_run, "average")
    assert row["epochs"] == sorted(epoch for _, epoch in best)
    assert {"valid_crr", "test_crr", "valid_loss", "test_loss", "published"} <= row.keys()


@pytest.mark.parametrize(("best_crr", "published"), [(-1e9, True), (1e9, False)])
def test_the_mean_is_published_if_it_is_better(
    babble: Path,
    averaging_run: Path,
    tmp_path: Path,
    best_crr: float,
    published: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "sorigeul")
    folder = tmp_path / "run"
    model_file = folder / "model.safetensors"
    shutil.copytree(averaging_run, folder)
    averaging = settings(**AVERAGING)
    run = Run(babble, folder, averaging, devices.launch(averaging.training))
    run.begin_or_resume()
    run.position.best_crr = best_crr
    model_file.write_bytes(b"as it was")
    run.average_best()
    run.metrics.close()
    row = read_metrics(folder, "average")[-1]
    assert row["published"] is published
    assert run.position.best_crr == (row["valid_crr"] if published else best_crr)
    if published:
        paths = sorted(folder.glob("checkpoints/best-*.safetensors"))
        first, second = (load_file(path) for path in paths)
        mean = load_file(model_file)
        assert mean.keys() == first.keys()
        for name, tensor in mean.items():
            expected = (first[name].double() + second[name].double()) / 2
            assert torch.equal(tensor, expected.to(tensor.dtype)), name
        statistics = [name for name in mean if "running" in name]
        assert statistics
        assert not any(torch.equal(mean[name], first[name]) for name in statistics)
    else:
        assert model_file.read_bytes() == b"as it was"
    messages = [r.getMessage() for r in caplog.records if "the mean of epochs" in r.getMessage()]
    assert messages[-1].endswith(": published" if published else ": the best one stays published")


def test_weights_that_a_killed_process_left_unfinished_are_removed(
    babble: Path, averaging_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(averaging_run, run)
    for name in ("best-0099.safetensors", ".best-0001.x7.safetensors"):
        (run / "checkpoints" / name).write_bytes(b"half")
    train(babble, run, settings(**{**AVERAGING, "max_epochs": 5}))
    assert len(saved_weights(run)) == 3


def test_two_processes_average_together(babble: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    option = config_option(tmp_path / "s.yaml", **{**AVERAGING, "max_epochs": 2})
    Ranks(tmp_path, 2, "train", babble, run, *option).expect_success()
    (row,) = read_metrics(run, "average")
    assert row["epochs"] == [0, 1]
    assert len(saved_weights(run)) == 3
