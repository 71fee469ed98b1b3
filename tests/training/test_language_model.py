"""Training of a language model: what it learns, how it stops and goes on, what it leaves behind."""

import itertools
import json
import math
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.figures import drawn_plots
from helpers.runs import checkpoints, identical

from sorigeul.base.errors import UserError
from sorigeul.lm.loading import load_language_model
from sorigeul.lm.perplexity import score_lines
from sorigeul.lm.text_data import TextData
from sorigeul.text.vocabulary import SPECIALS, Vocabulary
from sorigeul.training import language_model
from sorigeul.training.language_model import LanguageModelRun, train_network
from sorigeul.training.language_model_settings import LanguageModelSettings
from sorigeul.training.metrics import read_metrics

VOCABULARY = Vocabulary((*"가나다라 마바사", *SPECIALS))
TINY: dict[str, Any] = {
    "hidden_size": 24,
    "embedding_size": 12,
    "transformer_width": 24,
    "transformer_layers": 2,
    "batch_characters": 256,
    "lr": 0.02,
    "warmup_steps": 5,
    "log_every": 3,
    "checkpoint_every": 4,
    "evaluate_every": 6,
}


def settings(**changes: Any) -> LanguageModelSettings:
    return LanguageModelSettings().changed({**TINY, **changes}, "test")


def ids(lines: list[str]) -> np.ndarray:
    tokens = [[*VOCABULARY.encode(line), VOCABULARY.eos_id] for line in lines]
    return np.array([token for line in tokens for token in line], np.uint16)


def text(lines: int = 200, seed: int = 0) -> TextData:
    """Random lines of pairs that always belong together: 가나, 다라, 마바."""
    random = np.random.default_rng(seed)
    parts = ["가나", "다라", "마바", " "]
    train = ["".join(random.choice(parts, random.integers(1, 12))) for _ in range(lines)]
    report = {"normalizer": "plain/1", "train_lines": lines}
    return TextData(VOCABULARY, ids(train), ids(train[:20]), report)


def final_state(folder: Path) -> dict[str, Any]:
    """The newest checkpoint, without what depends on time."""
    state: dict[str, Any] = torch.load(checkpoints(folder)[-1], weights_only=True)
    for section in ("position", "totals"):
        state[section].pop("seconds")
    return state


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training of two epochs that was never interrupted."""
    folder = tmp_path_factory.mktemp("lm") / "whole"
    with drawn_plots():
        train_network(text(), folder, settings(max_epochs=2, dropout=0.2), "sorigeul lm train …")
    return folder


TRANSFORMER = {"kind": "transformer", "transformer_dropout": 0.2, "max_epochs": 2}


@pytest.fixture(scope="module")
def whole_transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `whole`, of a Transformer."""
    folder = tmp_path_factory.mktemp("lm") / "transformer"
    train_network(text(), folder, settings(**TRANSFORMER))
    return folder


@pytest.mark.parametrize(
    "network", [{"cell": "gru"}, {"cell": "lstm"}, {"kind": "transformer"}], ids=str
)
def test_it_learns_two_lines(tmp_path: Path, network: dict[str, str]) -> None:
    lines = ["가나다라 마바사", "라마바 가"]
    data = TextData(VOCABULARY, ids(lines * 500), ids(lines), {"normalizer": "plain/1"})
    train_network(data, tmp_path, settings(**network, max_epochs=5, evaluate_every=1000))
    row = read_metrics(tmp_path, "evaluation")[-1]
    # Which of the lines it is takes a bit; their 9 and 6 characters then follow.
    assert row["heldout_bits_per_character"] == pytest.approx(2 / 15, abs=0.02)
    model = load_language_model(tmp_path)
    right, wrong = score_lines(model, [lines[0], lines[0][::-1]])
    assert right.log_probability == pytest.approx(-math.log(2), abs=0.3)
    assert wrong.log_probability < -10


def test_what_it_leaves_behind(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert names > {"config.yaml", "config.json", "vocabulary.json", "model.safetensors"}
    assert names > {"results.md", "metrics.jsonl", "run.json", "plots", "checkpoints"}
    rows = read_metrics(whole, "evaluation")
    best = min(row["heldout_bits_per_character"] for row in rows)
    config = json.loads((whole / "config.json").read_text(encoding="utf-8"))
    assert config["heldout_bits_per_character"] == round(best, 4)
    assert config["normalizer"] == "plain/1"
    results = (whole / "results.md").read_text(encoding="utf-8")
    assert len([line for line in results.splitlines() if line.startswith("|")]) == 2 + len(rows)
    assert "train lines : 200" in results
    assert (whole / "plots" / "learning_curve.png").stat().st_size > 1000
    for row in rows:
        loss = row["heldout_loss"]
        assert row["heldout_perplexity"] == pytest.approx(math.exp(loss))
        assert row["heldout_bits_per_character"] == pytest.approx(loss / math.log(2))
    rates = [row["learning_rate"] for row in read_metrics(whole, "step")]
    assert rates[0] < max(rates) <= 0.02
    assert rates[-1] < 0.1 * max(rates)


def test_its_held_out_loss_is_that_of_the_published_model(whole: Path) -> None:
    data = text()
    lines = VOCABULARY.units
    decoded = "".join("\n" if i == VOCABULARY.eos_id else lines[i] for i in data.heldout)
    scores = list(score_lines(load_language_model(whole), decoded.split("\n")[:-1]))
    loss = -sum(s.log_probability for s in scores) / sum(s.characters for s in scores)
    best = min(row["heldout_loss"] for row in read_metrics(whole, "evaluation"))
    assert loss == pytest.approx(best, abs=1e-4)


def test_a_seed_repeats(whole: Path, tmp_path: Path) -> None:
    train_network(text(), tmp_path / "again", settings(max_epochs=2, dropout=0.2))
    assert identical(final_state(tmp_path / "again"), final_state(whole))
    train_network(text(), tmp_path / "other", settings(max_epochs=2, dropout=0.2, seed=1))
    other = final_state(tmp_path / "other")["network"]
    assert not identical(other, final_state(whole)["network"])


def train_in_two_parts(
    folder: Path, options: LanguageModelSettings, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """Train, killed after so many steps, and go on."""
    steps, train_step = itertools.count(1), LanguageModelRun.train_step

    def killed(run: LanguageModelRun, batch: Any) -> None:
        if next(steps) > stop_at:
            raise KeyboardInterrupt
        train_step(run, batch)

    with monkeypatch.context() as patch:
        patch.setattr(language_model.LanguageModelRun, "train_step", killed)
        with pytest.raises(KeyboardInterrupt):
            train_network(text(), folder, options)
    train_network(text(), folder, options)


@pytest.mark.parametrize("stop_at", [1, 5, 6, 13])
def test_a_resumed_training_ends_as_if_it_had_never_stopped(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    folder = tmp_path / "lm"
    train_in_two_parts(folder, settings(max_epochs=2, dropout=0.2), monkeypatch, stop_at)
    assert identical(final_state(folder), final_state(whole))
    for name in ("model.safetensors", "config.json"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes()
    one, other = (read_metrics(place, "evaluation") for place in (folder, whole))
    assert [row["heldout_loss"] for row in one] == [row["heldout_loss"] for row in other]


def test_a_resumed_transformer_ends_as_if_it_had_never_stopped(
    whole_transformer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lm"
    train_in_two_parts(folder, settings(**TRANSFORMER), monkeypatch, 5)
    assert identical(final_state(folder), final_state(whole_transformer))


def test_a_request_to_stop_leaves_a_training_that_goes_on(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, options = tmp_path / "lm", settings(max_epochs=2, dropout=0.2)
    steps, train_step = itertools.count(1), LanguageModelRun.train_step

    def interrupted(run: LanguageModelRun, batch: Any) -> None:
        train_step(run, batch)
        if next(steps) == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(language_model.LanguageModelRun, "train_step", interrupted)
        train_network(text(), folder, options)
    assert checkpoints(folder)[-1].name == "step-000000007.pt"
    train_network(text(), folder, options)
    assert identical(final_state(folder), final_state(whole))


def test_a_finished_training_goes_on_when_its_limits_are_raised(
    whole: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(whole, tmp_path / "lm")
    steps = read_metrics(folder, "evaluation")[-1]["step"]
    with caplog.at_level("INFO", "sorigeul"):
        train_network(text(), folder, settings(max_epochs=2, dropout=0.2))
    assert "is finished; raise --max_epochs" in caplog.text
    train_network(text(), folder, settings(max_epochs=9, dropout=0.2, max_steps=steps + 2))
    assert read_metrics(folder, "evaluation")[-1]["step"] == steps + 2


def test_limits_end_it(tmp_path: Path) -> None:
    train_network(text(), tmp_path / "steps", settings(max_steps=3))
    assert read_metrics(tmp_path / "steps", "evaluation")[-1]["step"] == 3
    train_network(text(), tmp_path / "time", settings(max_seconds=1e-6, max_epochs=100))
    assert read_metrics(tmp_path / "time", "evaluation")[-1]["step"] == 1


def test_another_model_or_vocabulary_is_refused(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "lm")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="was begun with hidden_size 24, not 8"):
        train_network(text(), folder, settings(hidden_size=8))
    with pytest.raises(UserError, match="was begun with kind recurrent: train into a new folder"):
        train_network(text(), folder, settings(kind="transformer"))
    other = Vocabulary((*"가나다라 마바", *SPECIALS))
    data = TextData(other, text().train % 5, text().heldout, {})
    with pytest.raises(UserError, match="was begun with another vocabulary"):
        train_network(data, folder, settings())
    assert {path: path.read_bytes() for path in before} == before


def test_an_epoch_begins_again_if_its_batches_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_network(text(), tmp_path, settings(max_steps=3))
    train_network(text(), tmp_path, settings(max_epochs=1, batch_characters=300))
    assert "batch_characters changed: the epoch begins again" in caplog.text
    epochs = read_metrics(tmp_path, "evaluation")[-1]["epochs"]
    assert epochs == pytest.approx(1)


def test_losses_that_are_not_finite_are_skipped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    steps, loss_of = itertools.count(1), LanguageModelRun._loss

    def broken(run: LanguageModelRun, batch: Any) -> Any:
        loss, targets = loss_of(run, batch)
        return (loss * math.nan if next(steps) in (2, 3) else loss), targets

    monkeypatch.setattr(LanguageModelRun, "_loss", broken)
    train_network(text(), tmp_path, settings(max_steps=5))
    row = read_metrics(tmp_path, "evaluation")[-1]
    assert (row["step"], row["skipped_steps"]) == (5, 2)
    assert math.isfinite(row["train_loss"])
    assert "step 2 skipped: loss nan" in caplog.text


def test_it_gives_up_on_losses_that_stay_infinite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss_of = LanguageModelRun._loss

    def broken(run: LanguageModelRun, batch: Any) -> Any:
        loss, targets = loss_of(run, batch)
        return loss * math.inf, targets

    monkeypatch.setattr(LanguageModelRun, "_loss", broken)
    with pytest.raises(UserError, match="not finite 10 steps in a row: lower lr"):
        train_network(text(), tmp_path, settings())


def test_bfloat16_needs_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="precision bfloat16 needs a GPU"):
        train_network(text(), tmp_path, settings(precision="bfloat16"))
