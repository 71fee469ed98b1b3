"""A whole run: every setting has an effect, the same seed gives the same run, errors end it."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers.fake_clock import FakeClock
from helpers.figures import drawn_plots
from helpers.runs import checkpoints, equal, metrics_without_times, settings, weights
from helpers.trees import file_contents

from sorigeul.base.errors import UserError
from sorigeul.base.stopping import StopRequests
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare
from sorigeul.training import devices
from sorigeul.training import run as run_module
from sorigeul.training.learner import Learner
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import Run, train
from sorigeul.training.settings import Settings


@pytest.fixture(scope="module")
def default_run(babble: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the settings that the tests change, and with its plots."""
    run = tmp_path_factory.mktemp("default") / "run"
    with drawn_plots():
        train(babble, run, settings())
    return run


def test_a_run_folder_holds_everything_that_is_documented(default_run: Path) -> None:
    for name in ("config.yaml", "model.safetensors", "config.json", "vocabulary.json"):
        assert (default_run / name).is_file(), name
    assert list((default_run / "checkpoints").glob("*.pt"))
    assert list(default_run.glob("events.out.tfevents*"))
    plot = default_run / "plots" / "attention_epoch_000.png"
    assert plot.read_bytes().startswith(b"\x89PNG")
    curves = default_run / "plots" / "learning_curves.png"
    assert curves.read_bytes().startswith(b"\x89PNG")
    table = (default_run / "results.md").read_text(encoding="utf-8")
    assert "|Epoch|train CRR (%)|valid CRR (%)|test CRR (%)|" in table
    assert re.search(r"(?m)^\|0\|-?\d+\.\d\d\|-?\d+\.\d\d\|-?\d+\.\d\d\|$", table)
    assert "PyTorch version : " in table
    assert "Training Start Date: " in table
    assert Settings.from_yaml(default_run / "config.yaml") == settings()


# Seeds


def test_the_same_seed_gives_the_same_run_to_the_bit(
    babble: Path, default_run: Path, tmp_path: Path
) -> None:
    train(babble, tmp_path / "again", settings())
    assert metrics_without_times(tmp_path / "again") == metrics_without_times(default_run)
    assert equal(weights(tmp_path / "again"), weights(default_run))
    train(babble, tmp_path / "other", settings(seed=1))
    assert not equal(weights(tmp_path / "other"), weights(default_run))


def test_the_same_seed_gives_the_same_run_with_all_training_aids(
    babble: Path, tmp_path: Path
) -> None:
    aids: dict[str, Any] = {
        "plain_epochs": 1,
        "speed_perturbation": True,
        "scheduled_sampling": 0.3,
        "ctc_weight": 0.3,
        "guide_weight": 2.0,
        "share_letters": True,
        "ema_decay": 0.9,
        "average_best": 2,
        "max_steps": 0,
        "max_epochs": 3,
    }
    runs = [tmp_path / name for name in ("first", "second")]
    for run in runs:
        train(babble, run, settings(**aids))
    assert metrics_without_times(runs[0]) == metrics_without_times(runs[1])
    assert equal(weights(runs[0]), weights(runs[1]))


# Settings


def trained_weights(corpus: Path, folder: Path, **changes: Any) -> dict[str, torch.Tensor]:
    """The weights after the steps of a run, which neither recognises nor publishes anything."""
    changed = settings(**changes)
    run = Run(corpus, folder, changed, devices.launch(changed.training))
    run.begin_or_resume()
    with StopRequests() as stop:
        assert run.train_epoch(stop)
    return run.learner.las.state_dict()


@pytest.mark.parametrize(
    "aid", [{"plain_epochs": 1}, {"scheduled_sampling": 0.5}, {"share_letters": True}], ids=str
)
def test_every_training_aid_changes_the_weights(
    babble: Path, tmp_path: Path, aid: dict[str, Any]
) -> None:
    without = trained_weights(babble, tmp_path / "without", teacher_forcing=1.0)
    with_aid = trained_weights(babble, tmp_path / "with", teacher_forcing=1.0, **aid)
    assert not equal(with_aid, without)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("use_bidirectional", False),
        ("use_attention", False),
        ("score_function", "additive"),
        ("use_label_smoothing", False),
        ("input_reverse", True),
        ("use_augment", False),
        ("use_pyramidal", False),
        ("pack_by_length", False),
        ("augment_ratio", 2.0),
        ("listener_layer_size", 4),
        ("speller_layer_size", 2),
        ("hidden_size", 12),
        ("batch_size", 3),
        ("dropout", 0.0),
        ("teacher_forcing", 0.0),
        ("lr", 0.001),
        ("frame_length", 20.0),
        ("stride", 12.5),
        ("n_fft", 512),
        ("hop_length", 128),
        ("n_mels", 24),
        ("window", "hann"),
    ],
)
def test_every_hyperparameter_of_the_seed_changes_the_weights(
    babble: Path, default_run: Path, tmp_path: Path, name: str, value: Any
) -> None:
    changed, default = trained_weights(babble, tmp_path, **{name: value}), weights(default_run)
    shapes, default_shapes = (
        {name: tensor.shape for name, tensor in tensors.items()} for tensors in (changed, default)
    )
    assert not (shapes == default_shapes and equal(changed, default))


def test_augmented_copies_make_the_epoch_longer(babble: Path, tmp_path: Path) -> None:
    steps = {}
    for ratio in (0.0, 1.0, 2.0):
        run = tmp_path / str(ratio)
        train(babble, run, settings(augment_ratio=ratio, max_steps=0, max_epochs=1, batch_size=2))
        steps[ratio] = read_metrics(run, "epoch")[0]["step"]
    assert steps[0.0] == 7
    assert steps[1.0] >= 14
    assert steps[2.0] >= 21


def test_the_learning_rate_follows_its_schedule(babble: Path, tmp_path: Path) -> None:
    train(
        babble,
        tmp_path / "run",
        settings(lr_schedule="cosine", warmup_steps=6, max_steps=16, max_epochs=100, log_every=4),
    )
    rates = {row["step"]: row["learning_rate"] for row in read_metrics(tmp_path / "run", "step")}
    assert rates[4] == pytest.approx(0.01 * 4 / 6 * 0.5 * (1 + np.cos(np.pi * 0.25)), rel=0.05)
    assert rates[8] > rates[12] > rates[16]
    assert rates[16] < 1e-5


def test_a_row_of_metrics_is_written_every_log_every_steps(babble: Path, tmp_path: Path) -> None:
    train(babble, tmp_path / "run", settings(log_every=2, max_steps=5))
    assert [row["step"] for row in read_metrics(tmp_path / "run", "step")] == [2, 4]


def test_the_rate_of_the_first_step_is_of_its_own_seconds(babble: Path, tmp_path: Path) -> None:
    train(babble, tmp_path / "run", settings(log_every=1, max_steps=1))
    (step,) = read_metrics(tmp_path / "run", "step")
    (epoch,) = read_metrics(tmp_path / "run", "epoch")
    for name in ("audio_seconds_per_second", "waiting_share"):
        assert step[name] == epoch[name]
    assert 0 < step["waiting_share"] < 1


def test_a_step_takes_as_many_batches_as_accumulate_says(babble: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(babble, run, settings(max_steps=0, max_epochs=1, batch_size=2, accumulate=5))
    (row,) = read_metrics(run, "epoch")
    assert row["step"] == 3  # of 12 to 14 batches: the last ones are not thrown away


# Limits


def test_a_run_ends_when_it_has_trained_for_max_seconds(
    babble: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock by which every step takes ten seconds, and nothing else takes any time."""
    clock = FakeClock(monkeypatch)
    clock.charge(Learner, "step", seconds=10.0)
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=clock))
    limits = {"max_steps": 0, "max_epochs": 100}
    train(babble, tmp_path / "run", settings(**limits, max_seconds=95.0))
    assert read_metrics(tmp_path / "run", "epoch")[-1]["step"] == 11
    train(babble, tmp_path / "run", settings(**limits, max_seconds=125.0))
    assert read_metrics(tmp_path / "run", "epoch")[-1]["step"] == 14


# Errors


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_utterances(
    babble: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = settings(max_steps=40, batch_size=1)
    run = Run(babble, tmp_path / "run", long, devices.launch(long.training))
    run.begin_or_resume()
    _diverge(run)
    with StopRequests() as stop, pytest.raises(UserError, match="not finite 10 steps in a row"):
        run.train_epoch(stop)
    skipped = [record.getMessage() for record in caplog.records if "skipped" in record.getMessage()]
    assert len(skipped) == 10
    assert re.search(r"utterances .*\d\d", skipped[0])


def test_a_run_that_learnt_nothing_before_its_limit_fails_and_publishes_nothing(
    babble: Path, tmp_path: Path
) -> None:
    three = settings(max_steps=3)
    run = Run(babble, tmp_path / "run", three, devices.launch(three.training))
    run.begin_or_resume()
    _diverge(run)
    with StopRequests() as stop, pytest.raises(UserError, match="no batch of the epoch"):
        run.train_epoch(stop)


def test_a_limit_before_the_first_good_step_of_a_later_epoch_ends_the_run(
    babble: Path, tmp_path: Path
) -> None:
    train(babble, tmp_path / "run", settings(max_steps=0, max_epochs=1))
    last_step = read_metrics(tmp_path / "run", "epoch")[-1]["step"]
    longer = settings(max_steps=last_step + 1, max_epochs=2)
    run = Run(babble, tmp_path / "run", longer, devices.launch(longer.training))
    run.begin_or_resume()
    assert not run.ended
    _diverge(run)
    with StopRequests() as stop:
        assert not run.train_epoch(stop)
    assert run.ended


def _diverge(run: Run) -> None:
    with torch.no_grad():
        run.learner.las.speller.out.bias[0] = torch.nan


def test_weights_that_are_not_finite_are_neither_saved_nor_published_nor_resumed(
    babble: Path, default_run: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(default_run, tmp_path / "run")
    before = file_contents(folder)
    more = settings(max_steps=40)
    run = Run(babble, folder, more, devices.launch(more.training))
    _diverge(run)
    for save in (run.save_checkpoint, run.close_epoch):
        with pytest.raises(UserError, match=r"diverged: speller.out.bias is not finite") as error:
            save()
        assert "\n" not in str(error.value)
    assert file_contents(folder) == before
    newest = checkpoints(folder)[-1]
    content = torch.load(newest, weights_only=True)
    content["model"]["speller.out.bias"][0] = torch.nan
    torch.save(content, newest)
    with pytest.raises(UserError, match=r"speller.out.bias is not finite\): move it away"):
        train(babble, folder, more)


def test_utterances_of_one_id_are_all_evaluated(babble: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(babble, tmp_path / "data"))
    dev = (data / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    cuts = [json.loads(line) | {"id": "same"} for line in dev]
    (data / "dev.jsonl").write_text("".join(json.dumps(cut) + "\n" for cut in cuts), "utf-8")
    with drawn_plots():
        train(data, tmp_path / "run", settings())
    assert read_metrics(tmp_path / "run", "epoch")
    assert (tmp_path / "run" / "plots" / "attention_epoch_000.png").is_file()


def test_a_corrupt_file_is_left_out_named_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(8):
        noise = np.random.default_rng(index).standard_normal(8000) * 0.1
        soundfile.write(tmp_path / f"{index}.wav", noise, 16000)
    rows = [f"{index}.wav,가나다,{'dev' if index == 7 else 'train'}" for index in range(8)]
    (tmp_path / "t.csv").write_text("audio,text,split\n" + "\n".join(rows), encoding="utf-8")
    prepare(CORPORA["table"], tmp_path / "t.csv", tmp_path / "data")
    (tmp_path / "3.wav").write_bytes(b"no longer sound")
    one_epoch = settings(max_steps=0, max_epochs=1, use_augment=False, max_failures=0.2)
    train(tmp_path / "data", tmp_path / "run", one_epoch)
    assert read_metrics(tmp_path / "run", "epoch")[0]["failures"] == 1
    assert any("3.wav" in record.getMessage() for record in caplog.records)
