"""A run on several corpora: one vocabulary, each its own dev and test, resumed exactly."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from helpers import tones
from helpers.runs import equal, metrics_without_times, settings, weights

from sorigeul.base.errors import UserError
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.training.learner import Learner, StepResult
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train

CHANGES: dict[str, Any] = {
    "max_steps": 0,
    "max_epochs": 2,
    "checkpoint_every": 3,
    "weights": [0.7, 0.3],
    "speed_perturbation": True,
    "babble_share": 0.5,
}


@pytest.fixture(scope="module")
def both(babble: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The corpus `babble`, and one without a test split whose only syllables are 라 and 타."""
    folder = tmp_path_factory.mktemp("tones")
    texts = ["라타라라"[: 2 + number % 3] for number in range(8)]
    data = tones.manifests(folder, texts, ["train"] * 5 + ["dev"] * 2 + ["test"])
    (data / "test.jsonl").unlink()
    return [babble, data]


@pytest.fixture(scope="module")
def mixed_run(both: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("mixed") / "run"
    train(both, run, settings(**CHANGES))
    return run


def test_each_corpus_has_its_own_columns_and_counts_alike(mixed_run: Path) -> None:
    epochs = read_metrics(mixed_run, "epoch")
    for row in epochs:
        own = [row[f"{name}/valid_crr"] for name in ("data", "manifests")]
        assert row["valid_crr"] == pytest.approx(sum(own) / 2)
        assert row["test_crr"] == row["data/test_crr"]
        assert "manifests/test_crr" not in row
    table = (mixed_run / "results.md").read_text(encoding="utf-8")
    head = "|Epoch|train CRR (%)|valid CRR (%)|test CRR (%)|data valid|manifests valid|data test|"
    assert f"{head}\n|:-----:|:---------:|:--------:|:------:|:---:|:---:|:---:|\n|0|" in table
    assert "Of several corpora, valid and test are the means." in table
    published = load_pretrained(str(mixed_run))
    assert set("가라타") <= set(published.vocabulary.units)
    assert {"valid_crr", "data/valid_crr", "manifests/valid_crr"} <= published.results.keys()


@pytest.mark.parametrize("step", [5, 8])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    both: list[Path],
    mixed_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    steps = 0
    original = Learner.step

    def interrupt(self: Learner, *arguments: Any) -> StepResult:
        nonlocal steps
        steps += 1
        if steps == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, *arguments)

    monkeypatch.setattr(Learner, "step", interrupt)
    train(both, tmp_path / "run", settings(**CHANGES))
    assert read_metrics(tmp_path / "run") != read_metrics(mixed_run)
    train(both, tmp_path / "run", settings(**CHANGES))
    assert metrics_without_times(tmp_path / "run") == metrics_without_times(mixed_run)
    assert equal(weights(tmp_path / "run"), weights(mixed_run))


def test_other_weights_begin_the_epoch_again(
    both: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    train(both, run, settings(**{**CHANGES, "max_steps": 4}))
    (run / "checkpoints" / "step-000000004.pt").unlink()
    train(both, run, settings(**{**CHANGES, "max_steps": 4, "weights": [1.0, 1.0]}))
    assert "weights changed: epoch 0 begins again from its first batch" in caplog.text


def test_what_does_not_go_together_is_refused(both: list[Path], tmp_path: Path) -> None:
    for corpora, message in (
        (both[:1], "weights are 0.7 0.3, but there is one corpus"),
        ([both[0], both[0]], "is given twice"),
        ([both[0], tmp_path / "none"], "none is no folder of manifests"),
    ):
        with pytest.raises(UserError, match=message):
            train(corpora, tmp_path / "run", settings(**CHANGES))
    shutil.copytree(both[1], tmp_path / "data")
    (tmp_path / "data" / "dev.jsonl").unlink()
    without_dev = [tmp_path / "data", both[1]]  # one of them has a dev, which is enough
    train(without_dev, tmp_path / "run", settings(**{**CHANGES, "max_steps": 1, "patience": 1}))


def test_corpora_with_other_normalisers_are_warned_of(
    both: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = shutil.copytree(both[1], tmp_path / "other")
    manifest = other / "train.jsonl"
    content = manifest.read_text(encoding="utf-8").replace('"plain/', '"spelling/')
    manifest.write_text(content, encoding="utf-8")
    train([both[0], other], tmp_path / "run", settings(**{**CHANGES, "max_steps": 1}))
    assert "the corpora are not prepared alike: plain/" in caplog.text
