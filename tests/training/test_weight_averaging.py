"""Which weights are kept: averages over steps and over epochs, and when a run has seen enough."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.learners import PLAIN, equal, learner, steps, weights
from helpers.processes import company
from helpers.runs import LONG, checkpoints, config, curve, same, settings, state
from helpers.runs import weights as weights_of
from safetensors.torch import load_file
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.data.batches import Batch
from sorigeul.training import devices
from sorigeul.training.metrics import read_metrics
from sorigeul.training.progress_state import dev_crr
from sorigeul.training.run import Run, train
from sorigeul.training.weight_averaging import average_weights

# Over steps


def test_the_moving_average_is_the_one_computed_by_hand(batches: list[Batch]) -> None:
    one = learner(PLAIN.changed({"ema_decay": 0.25}, "test"))
    expected = weights(one)
    # The first weights as they are; then a decay that rises to what is set, and no further.
    for decay in (0.0, 2 / 11, 3 / 12, 0.25):
        steps(one, batches, 1)
        now = weights(one)
        for name, parameter in one.las.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
    found = one.evaluated_model.state_dict()
    for name, tensor in found.items():
        if name in dict(one.las.named_parameters()):
            torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)
            assert not torch.equal(tensor, now[name])
        else:
            assert torch.equal(tensor, now[name]), name
    assert not one.evaluated_model.training


def test_averaging_leaves_the_training_as_it_is(batches: list[Batch]) -> None:
    averaged, plain = learner(PLAIN.changed({"ema_decay": 0.9}, "test")), learner(PLAIN)
    assert steps(averaged, batches, 3) == steps(plain, batches, 3)
    assert equal(weights(averaged), weights(plain))
    assert plain.evaluated_model is plain.las


def test_the_moving_average_is_what_is_published(babble: Path, tmp_path: Path) -> None:
    train(babble, tmp_path / "run", settings(ema_decay=0.5))
    (last,) = checkpoints(tmp_path / "run")
    found = torch.load(last, weights_only=True)
    published = load_file(tmp_path / "run" / "model.safetensors")
    assert equal(published, averaged(found))
    assert not equal(published, found["model"])


def averaged(state: dict[str, Any]) -> dict[str, Tensor]:
    """The average of the weights in a checkpoint, by the names of the model."""
    parts = state["average"].items()
    return {n.removeprefix("module."): part for n, part in parts if n.startswith("module.")}


# Without shared letters, so that what is kept and what is published go by the same names.
KEPT = {**LONG, "share_letters": False, "ema_decay": 0.9, "average_best": 2}


@pytest.fixture(scope="module")
def kept(babble: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four epochs that averages its weights in both ways."""
    run = tmp_path_factory.mktemp("kept") / "run"
    train(babble, run, settings(**KEPT))
    return run


def files(run: Path) -> dict[str, dict[str, Tensor]]:
    return {path.name: load_file(path) for path in run.rglob("*.safetensors")}


@pytest.mark.parametrize("lost", [1, 2])
def test_a_run_that_averages_goes_on_to_the_bit(
    babble: Path, kept: Path, tmp_path: Path, lost: int
) -> None:
    """From within its last epoch, and from nothing."""
    again = tmp_path / "run"
    shutil.copytree(kept, again)
    for path in checkpoints(again)[-lost:]:
        path.unlink()
    train(babble, again, settings(**KEPT))
    assert same(state(again), state(kept))
    assert curve(again) == curve(kept)
    assert same(files(again), files(kept))


def test_a_run_may_begin_to_average_and_cease_to(babble: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(babble, run, settings())
    before = weights_of(run)
    name = "speller.out.weight"
    train(babble, run, settings(max_steps=4, ema_decay=0.5))
    first = averaged(torch.load(checkpoints(run)[-1], weights_only=True))[name]
    assert torch.equal(first, weights_of(run)[name])
    assert not torch.equal(first, before[name])
    train(babble, run, settings(max_steps=5, ema_decay=0.5))
    second = averaged(torch.load(checkpoints(run)[-1], weights_only=True))[name]
    torch.testing.assert_close(second, 2 / 11 * first + 9 / 11 * weights_of(run)[name])
    train(babble, run, settings(max_steps=6))
    assert torch.load(checkpoints(run)[-1], weights_only=True)["average"] is None


# Over epochs


def test_a_mean_is_that_of_every_tensor() -> None:
    one = {"a": torch.tensor([1.0, 2.0]), "count": torch.tensor(3)}
    other = {"a": torch.tensor([2.0, 6.0]), "count": torch.tensor(6)}
    found = average_weights([one, other])
    assert found["a"].tolist() == [1.5, 4.0]
    assert found["a"].dtype == torch.float32
    assert found["count"] == 4
    random = {"a": torch.randn(100)}
    assert equal(average_weights([random] * 3), random)


def test_the_best_epochs_are_kept_and_no_others(kept: Path) -> None:
    rates = [(dev_crr(row), row["epoch"]) for row in read_metrics(kept, "epoch")]
    assert len(rates) == 4
    best = sorted(rates, reverse=True)[:2]
    names = {f"best-{epoch:04d}.safetensors" for _, epoch in best}
    assert files(kept).keys() == {"model.safetensors", *names}
    (row,) = read_metrics(kept, "average")
    assert row["epochs"] == sorted(epoch for _, epoch in best)
    assert {"valid_crr", "test_crr", "valid_loss", "test_loss", "published"} <= row.keys()


@pytest.mark.parametrize(("before", "published"), [(-1e9, True), (1e9, False)])
def test_the_mean_is_published_if_it_is_better(
    babble: Path,
    kept: Path,
    tmp_path: Path,
    before: float,
    published: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "sorigeul")
    folder = tmp_path / "run"
    shutil.copytree(kept, folder)
    chosen = settings(**KEPT)
    run = Run(babble, folder, chosen, devices.launch(chosen.training))
    run.restore()
    run.position.best_crr = before
    (folder / "model.safetensors").write_bytes(b"as it was")
    run.average_best()
    run.journal.close()
    row = read_metrics(folder, "average")[-1]
    assert row["published"] is published
    assert run.position.best_crr == (row["valid_crr"] if published else before)
    if published:
        two = [load_file(path) for path in sorted(folder.glob("checkpoints/best-*.safetensors"))]
        halves = {name: (two[0][name].double() + two[1][name].double()) / 2 for name in two[0]}
        found = load_file(folder / "model.safetensors")
        assert equal(found, {name: half.to(found[name].dtype) for name, half in halves.items()})
        statistics = [name for name in found if "running" in name]
        assert statistics
        assert not any(torch.equal(found[name], two[0][name]) for name in statistics)
    else:
        assert (folder / "model.safetensors").read_bytes() == b"as it was"
    said = [r.getMessage() for r in caplog.records if "the mean of epochs" in r.getMessage()]
    assert said[-1].endswith(": published" if published else ": the best one stays published")


def test_weights_that_a_killed_process_left_are_swept_away(
    babble: Path, kept: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(kept, run)
    for name in ("best-0099.safetensors", ".best-0001.x7.safetensors"):
        (run / "checkpoints" / name).write_bytes(b"half")
    train(babble, run, settings(**{**KEPT, "max_epochs": 5}))
    assert len(files(run)) == 3


def test_processes_average_side_by_side(babble: Path, tmp_path: Path) -> None:
    options = config(tmp_path / "s.yaml", **{**KEPT, "max_epochs": 2})
    for one in company(tmp_path, 2, "train", babble, tmp_path / "run", *options):
        assert one.done().status == 0, one.done().err
    (row,) = read_metrics(tmp_path / "run", "average")
    assert row["epochs"] == [0, 1]
    assert len(files(tmp_path / "run")) == 3


# How long


def test_a_model_is_judged_by_the_better_of_speller_and_ctc_head() -> None:
    assert dev_crr({"valid_crr": 3.0, "valid_ctc_crr": 60.0}) == 60.0
    assert dev_crr({"valid_crr": 90.0, "valid_ctc_crr": 60.0}) == 90.0
    assert dev_crr({"valid_crr": -5.0}) == -5.0
    assert dev_crr({"test_crr": 50.0}, 4.0) == 4.0


def test_patience_ends_a_run_and_more_of_it_goes_on(
    babble: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "sorigeul")
    run = tmp_path / "run"
    chosen: dict[str, Any] = {"max_steps": 0, "max_epochs": 40, "lr": 1e-6, "use_augment": False}

    def stale() -> list[int]:
        """For each epoch, how many there were since the best."""
        rates = [dev_crr(row) for row in read_metrics(run, "epoch")]
        return [number - rates.index(max(rates[: number + 1])) for number in range(len(rates))]

    train(babble, run, settings(**chosen, patience=2))
    assert stale()[-1] == 2
    assert max(stale()[:-1]) < 2
    ended = len(stale())
    train(babble, run, settings(**chosen, patience=2))
    assert len(stale()) == ended
    assert "--patience" in caplog.records[-1].getMessage()
    train(babble, run, settings(**chosen, patience=4))
    assert len(stale()) > ended
    assert stale()[-1] == 4


@pytest.mark.parametrize("changes", [{"patience": 1}, {"average_best": 2}])
def test_what_goes_by_dev_needs_one(babble: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    shutil.copytree(babble, tmp_path / "data")
    (tmp_path / "data" / "dev.jsonl").unlink()
    with pytest.raises(UserError, match=r"go by dev, of which .* has none"):
        train(tmp_path / "data", tmp_path / "run", settings(**changes))


def test_a_step_that_failed_moves_no_average(batches: list[Batch]) -> None:
    one = learner(PLAIN.changed({"ema_decay": 0.9}, "test"))
    steps(one, batches, 1)
    before: dict[str, Tensor] = {
        n: part.clone() for n, part in one.evaluated_model.named_parameters()
    }
    bad = copy.deepcopy(batches[0])
    bad.waveforms[0, :100] = torch.nan
    assert not steps(one, [bad], 1)[0].updated
    assert equal(before, dict(one.evaluated_model.named_parameters()))
