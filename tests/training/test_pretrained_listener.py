"""Training from a pretrained listener: frozen layers, rates, exact resuming without its source."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.commands import Command, in_a_process
from helpers.encoders import save_encoder
from helpers.learners import VOCABULARY, character_counts, equal, take_steps, weights
from helpers.processes import Ranks
from helpers.runs import checkpoints, identical, state_without_times

from sorigeul.base.errors import UserError
from sorigeul.data.batches import Batch
from sorigeul.model.pretrained_listener import PretrainedListener
from sorigeul.pretrained.description import CONFIG
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.training import devices
from sorigeul.training.learner import Learner
from sorigeul.training.metrics import read_metrics
from sorigeul.training.run import train
from sorigeul.training.settings import Settings
from sorigeul.training.starting_point import start_encoder_weights, with_encoder

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "speller_layer_size": 1,
    "score_function": "dot",
    "ctc_weight": 0.3,
    "dropout": 0.0,
    "batch_size": 8,
    "augment_ratio": 0.0,
    "teacher_forcing": 1.0,
    "precision": "float32",
    "lr": 0.01,
}


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A wav2vec 2.0 without dropout. Do not change its folder."""
    still = ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout")
    folder = tmp_path_factory.mktemp("encoder") / "wav2vec2"
    return save_encoder(folder, "wav2vec2", **dict.fromkeys(still, 0.0))


@pytest.fixture(scope="module")
def with_dropout(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A wav2vec 2.0 with dropout and, by its own settings, with masks and layer drop."""
    return save_encoder(tmp_path_factory.mktemp("encoder") / "whole", "wav2vec2", layerdrop=0.5)


def settings(listener: str, **changes: Any) -> Settings:
    return Settings().changed({**SMALL, "listener": listener, **changes}, "test")


def learner(listener: str, **changes: Any) -> Learner:
    chosen = with_encoder(settings(listener, **changes), None)
    fabric = devices.launch(chosen.training)
    return Learner(chosen, VOCABULARY, fabric, encoder_weights=start_encoder_weights(chosen))


def options(**changes: Any) -> list[str]:
    return [word for name, value in changes.items() for word in (f"--{name}", str(value))]


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "whisper"])
def test_the_loss_falls(kind: str, tmp_path: Path, batches: list[Batch]) -> None:
    tuned = learner(save_encoder(tmp_path / "encoder", kind), hidden_size=8)
    steps = 4 if kind == "whisper" else 12
    losses = [step.losses[0] for step in take_steps(tuned, batches[:1], steps, 0.01)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_convolutions_and_a_frozen_encoder_keep_their_bits(
    with_dropout: str, batches: list[Batch]
) -> None:
    for frozen, kept in (
        (-1, "listener.encoder."),
        (0, "listener.encoder.feature_extractor."),
    ):
        tuned = learner(with_dropout, listener_frozen_steps=frozen, ema_decay=0.5)
        before = weights(tuned)
        take_steps(tuned, batches, 2, 0.01)
        for state in (tuned.las.state_dict(), tuned.evaluated_model.state_dict()):
            for name, tensor in state.items():
                assert torch.equal(tensor, before[name]) == name.startswith(kept), name


def test_a_frozen_encoder_has_no_dropout_and_learns_later(
    with_dropout: str, batches: list[Batch]
) -> None:
    tuned = learner(with_dropout)
    hears = tuned.las.listener
    assert isinstance(hears, PretrainedListener)
    before = weights(tuned)
    counts = character_counts(batches[:1])
    for frozen in (True, False):
        tuned.train()
        tuned.step(batches[:1], counts, 0.01, encoder_frozen=frozen)
        assert hears.encoder.training is not frozen
        own = hears.encoder.encoder.layers[0].attention.q_proj.weight
        name = "listener.encoder.encoder.layers.0.attention.q_proj.weight"
        assert torch.equal(own, before[name]) == frozen


def test_each_layer_has_its_rate(listener: str, batches: list[Batch]) -> None:
    """The first step of Adam is as long as the learning rate, wherever there is a gradient."""
    tuned = learner(listener, listener_lr=0.5, listener_lr_decay=0.1)
    before = weights(tuned)
    take_steps(tuned, batches, 1, learning_rate=0.01)
    after = weights(tuned)
    rates = {
        "listener.encoder.encoder.layers.1.": 0.005,
        "listener.encoder.encoder.layers.0.": 0.0005,
        "listener.encoder.feature_projection.": 0.00005,
        "listener.project.": 0.01,
        "speller.": 0.01,
        "ctc.": 0.01,
    }
    for prefix, rate in rates.items():
        changes = [
            float((after[name] - before[name]).abs().max())
            for name in before
            if name.startswith(prefix)
        ]
        assert max(changes) == pytest.approx(rate, rel=0.02), prefix


def test_masks_are_ours_and_are_drawn_on_samples(listener: str, batches: list[Batch]) -> None:
    tuned = learner(listener, time_masks=2, time_mask_seconds=0.1)
    heard: list[torch.Tensor] = []
    tuned.las.listener.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    batch = batches[0]
    for masked in (False, True):
        batch.augmented.fill_(masked)
        torch.manual_seed(3)
        take_steps(tuned, [batch], 1)
    batch.augmented.fill_(False)
    plain, masked = heard
    zeros = [
        (one == 0).sum(1).squeeze(1) - (batch.waveforms.shape[1] - batch.lengths) for one in heard
    ]
    assert zeros[0].max() < 50
    changed = (plain != masked).sum(1)
    assert changed.max() > 100
    assert changed.max() <= 2 * 0.1 * 16_000
    with pytest.raises(UserError, match="vocal_tract_warp is for mel bands"):
        with_encoder(settings(listener, vocal_tract_warp=0.1), None)


# Runs


def test_a_stopped_run_ends_as_if_it_had_not_stopped_and_needs_no_source(
    corpus: Path, with_dropout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped while the encoder is frozen, and again after."""
    source = tmp_path / "source"
    shutil.copytree(with_dropout.removeprefix("hf:"), source)
    monkeypatch.chdir(tmp_path)
    changes: dict[str, Any] = {
        "listener_frozen_steps": 3,
        "listener_lr_decay": 0.9,
        "mask_all": True,
        "speed_perturbation": True,
        "ema_decay": 0.9,
    }
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(corpus, whole, settings("hf:source", max_steps=7, **changes))
    for steps in (3, 5, 7):
        limits = {"max_steps": steps, "checkpoint_every": 2}
        train(corpus, parts, settings("hf:source", **limits, **changes))
        if steps < 7:  # at the limit it has closed its epoch
            checkpoints(parts)[-1].unlink()
        # The same command goes on when the folder is gone.
        shutil.rmtree(source, ignore_errors=True)
    one, other = state_without_times(whole), state_without_times(parts)
    for part in ("model", "optimizer", "average"):
        assert identical(one[part], other[part]), part
    pyramid = Settings.of_run(parts).changed(
        {"listener": "pyramid", "listener_frozen_steps": 0, "listener_lr_decay": 1.0}, "test"
    )
    with pytest.raises(UserError, match=r"begun with listener hf:.*, not pyramid"):
        train(corpus, parts, pyramid)


def test_a_published_model_needs_neither_its_source_nor_the_hub(
    corpus: Path, listener: str, tmp_path: Path, sorigeul: Command
) -> None:
    source, run = tmp_path / "source", tmp_path / "run"
    shutil.copytree(listener.removeprefix("hf:"), source)
    given = options(**SMALL, listener=f"hf:{source}", max_steps=3)
    done = sorigeul("train", corpus, run, "--preset", "small", *given)
    assert done.status == 0, done.err
    recordings = sorted((corpus.parent / "audio").glob("u0[0-3].wav"))
    before = sorigeul("transcribe", run, *recordings)
    shutil.rmtree(source)
    shutil.rmtree(run / "checkpoints")
    done = in_a_process("transcribe", run, *recordings, HF_HUB_OFFLINE="1")
    assert (done.status, done.out) == (0, before.out), done.err
    assert str(tmp_path) not in (run / CONFIG).read_text(encoding="utf-8")
    eight_bits = sorigeul("transcribe", run, *recordings, "--precision", "int8")
    assert eight_bits.status == 0, eight_bits.err
    refused = sorigeul("export", run, tmp_path / "export")
    assert refused.status == 2
    assert "has a pretrained listener, which cannot be exported" in refused.error()
    assert not (tmp_path / "export").exists()
    # It can be fine-tuned as any other, and then resumes without it.
    tuned = tmp_path / "tuned"
    more = ["--init_from", str(run), "--lr", "0.001"]
    done = sorigeul("train", corpus, tuned, *more, "--max_steps", "1")
    assert done.status == 0, done.err
    shutil.rmtree(run)
    done = sorigeul("train", corpus, tuned, *more[:2], "--max_steps", "2")
    assert done.status == 0, done.err
    assert load_pretrained(tuned).model.config.listener == "hf:source"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_mels": 40}, "n_mels 40 cannot be with hf:"),
        ({"normalization": "speech"}, "normalization speech cannot be with hf:"),
        ({"junction_norm": "True"}, "junction_norm is True, but must be False with hf:"),
        ({"vocal_tract_warp": 0.1}, "vocal_tract_warp is for mel bands, and this listener hears"),
        ({"time_reduction": 6}, "time_reduction is 6, but must be 4, 8 or 16"),
        ({"listener": "hf:"}, "listener is hf:, but must be one of pyramid, conformer, hf:NAME"),
        ({"listener": "hf:gone"}, "gone is neither a folder of a pretrained listener nor"),
        ({"listener_lr_decay": 0}, "listener_lr_decay is 0.0, but must be above 0"),
        ({"listener_frozen_steps": -2}, "listener_frozen_steps is -2, but must be at least -1"),
    ],
)
def test_settings_that_contradict_the_listener_are_refused_in_one_line(
    corpus: Path,
    listener: str,
    tmp_path: Path,
    sorigeul: Command,
    changes: dict[str, Any],
    message: str,
) -> None:
    given = options(**{"listener": listener, **changes})
    done = sorigeul("train", corpus, tmp_path / "run", *given)
    assert done.status == 2, done.err
    assert message in done.error()
    assert not (tmp_path / "run").exists()


def test_a_file_of_settings_repeats_the_run(
    corpus: Path, listener: str, tmp_path: Path, sorigeul: Command
) -> None:
    train(corpus, tmp_path / "first", settings(listener, max_steps=2))
    config = tmp_path / "first" / "config.yaml"
    done = sorigeul("train", corpus, tmp_path / "second", "--config", config)
    assert done.status == 0, done.err
    first, second = (load_pretrained(tmp_path / name).model for name in ("first", "second"))
    assert equal(first.state_dict(), second.state_dict())
    text = config.read_text(encoding="utf-8").replace("n_mels: 80", "n_mels: 40")
    config.write_text(text, encoding="utf-8")
    done = sorigeul("train", corpus, tmp_path / "third", "--config", config)
    assert "n_mels 40 cannot be with hf:" in done.error()


def test_two_processes_train_while_the_encoder_is_frozen_and_after(
    babble: Path, listener: str, tmp_path: Path
) -> None:
    config = tmp_path / "settings.yaml"
    chosen = {
        **SMALL,
        "listener": listener,
        "listener_frozen_steps": 2,
        "max_steps": 4,
        "log_every": 1,
    }
    config.write_text("".join(f"{name}: {value}\n" for name, value in chosen.items()))
    command = ["train", babble, tmp_path / "run", "--config", config, "--batch_size", "4"]
    Ranks(tmp_path / "output", 2, *command).expect_success()
    train(babble, tmp_path / "one", Settings.from_yaml(config))
    losses, expected = (
        [row["train_loss"] for row in read_metrics(tmp_path / name, "step")]
        for name in ("run", "one")
    )
    assert len(losses) == 4
    assert losses == pytest.approx(expected, rel=0.01)
