"""What a run starts from: the settings and the vocabulary of a model that is fine-tuned."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import tones
from helpers.commands import Command
from helpers.learners import equal

from sorigeul import ListenAttendSpell
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.text.vocabulary import Vocabulary
from sorigeul.training.metrics import read_metrics
from sorigeul.training.settings import Settings
from sorigeul.training.starting_point import adopt_model, report_finetuning

Build = Callable[..., ListenAttendSpell]


def options(model: Path, **changes: Any) -> list[str]:
    """The options that fine-tune a model for one epoch, with changes."""
    chosen = {"init_from": model, "max_epochs": 1, "augment_ratio": 0.0, **changes}
    return [word for name, value in chosen.items() for word in (f"--{name}", str(value))]


@pytest.fixture
def new_corpus(tmp_path: Path) -> Path:
    """Manifests whose texts have a syllable that the model does not know."""
    texts = [text.replace("라", "락") for text in tones.texts(24, seed=1)]
    tones.HERTZ.setdefault("락", 3800.0)
    splits = ["train"] * 16 + ["dev"] * 4 + ["test"] * 4
    return tones.manifests(tmp_path / "new_corpus", texts, splits)


def test_a_model_is_fine_tuned_and_the_run_resumes_without_it(
    new_corpus: Path, run: Path, tmp_path: Path, sorigeul: Command
) -> None:
    source, folder = tmp_path / "source", tmp_path / "run"
    shutil.copytree(run, source, ignore=shutil.ignore_patterns("checkpoints"))
    # The shape is the model's, whatever the preset says.
    preset = {"preset": "small", "max_epochs": 9}
    done = sorigeul("train", new_corpus, folder, *options(source, **preset, max_steps=1))
    assert done.status == 0, done.err
    assert "fine-tuning: 8 units, of which 1 are new to the model" in done.err
    tuned, model = load_pretrained(folder), load_pretrained(source)
    assert tuned.vocabulary.units == (*model.vocabulary.units[:-3], "락", "<s>", "</s>", "_")
    assert tuned.features == model.features
    assert tuned.model.config.hidden_size == 16
    assert tuned.model.config.dropout == Settings.preset("small").model.dropout
    shutil.rmtree(source)
    for resume_options in (
        options(source, **preset, max_steps=2),
        ["--init-from", str(source), "--max_steps", "3"],
        ["--max_steps", "4"],
    ):
        done = sorigeul("train", new_corpus, folder, *resume_options)
        assert done.status == 0, done.err
    assert [row["step"] for row in read_metrics(folder, "epoch")] == [1, 2, 3, 4]


def test_a_run_that_fine_tunes_can_be_repeated_from_its_settings(
    new_corpus: Path, run: Path, tmp_path: Path, sorigeul: Command
) -> None:
    assert sorigeul("train", new_corpus, tmp_path / "first", *options(run)).status == 0
    config = tmp_path / "first" / "config.yaml"
    done = sorigeul("train", new_corpus, tmp_path / "second", "--config", config)
    assert done.status == 0, done.err
    first, second = (load_pretrained(tmp_path / name).model for name in ("first", "second"))
    assert equal(first.state_dict(), second.state_dict())
    two_settings = tmp_path / "two_settings.yaml"
    two_settings.write_text(f"init_from: {run}\nmax_steps: 1\n", encoding="utf-8")
    done = sorigeul("train", new_corpus, tmp_path / "third", "--config", two_settings)
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 32}, "has hidden_size 16, not 32: leave out hidden_size, which"),
        (
            {"cell": "lstm", "n_mels": 40},
            "has cell gru, not lstm, n_mels 16, not 40: leave out cell n_mels, which",
        ),
        ({"vocabulary": "jamo", "share_letters": False}, "has vocabulary syllable, not jamo"),
        (
            {"freeze": "listener.convolution"},
            "freeze: the model has no listener.convolution, but ctc, "
            "jamo_ctc.out, listener.bottom_rnn, listener.conv, listener.middle_rnn, "
            "speller.attention, speller.embedding, speller.out, speller.rnn",
        ),
        ({"freeze": "listener,speller,ctc,jamo_ctc"}, "leaves nothing to learn"),
        ({"init_from": "no/where/at/all"}, "is neither a run folder nor a Hugging Face id"),
        ({"ema_decay": 1}, "ema_decay is 1.0, but must be at least 0 and below 1"),
        ({"listener_lr": 0}, "listener_lr is 0.0, but must be above 0"),
        ({"average_best": 0}, "average_best is 0, but must be at least 1"),
        ({"patience": -1}, "patience is -1, but must be at least 0"),
    ],
)
def test_settings_that_contradict_the_model_are_refused_in_one_line(
    corpus: Path,
    run: Path,
    tmp_path: Path,
    sorigeul: Command,
    changes: dict[str, Any],
    message: str,
) -> None:
    done = sorigeul("train", corpus, tmp_path / "run", *options(run, **changes))
    assert done.status == 2, done.err
    assert message in done.error()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("with_model", [True, False])
def test_a_run_resumes_only_with_init_from_if_it_was_started_so(
    corpus: Path, run: Path, tmp_path: Path, sorigeul: Command, with_model: bool
) -> None:
    folder = tmp_path / "run"
    with_options, without_options = options(run), ["--config", str(run / "config.yaml")]
    first, second = (
        (with_options, without_options) if with_model else (without_options, with_options)
    )
    assert sorigeul("train", corpus, folder, *first, "--max_steps", "1").status == 0
    done = sorigeul("train", corpus, folder, *second, "--max_steps", "2")
    assert done.status == 2
    started = "with init_from" if with_model else "without init_from"
    assert f"was begun {started}: leave that as it was" in done.error()


def test_what_the_model_excludes_is_switched_off(tiny: Build) -> None:
    small = Settings.preset("small")
    backwards = replace(tones.TINY.features, input_reverse=True)
    adopted = adopt_model(small, backwards, tiny().config, "syllable")
    assert (adopted.model.ctc_weight, adopted.model.guide_weight) == (0.0, 0.0)
    no_attention = tiny(use_attention=False).config
    adopted = adopt_model(small, tones.TINY.features, no_attention, "syllable")
    assert adopted.model.ctc_weight == small.model.ctc_weight
    assert adopted.model.guide_weight == 0.0
    sharing = small.changed({"share_letters": True}, "test")
    adopted = adopt_model(sharing, tones.TINY.features, tiny().config, "jamo")
    assert (adopted.training.vocabulary, adopted.model.share_letters) == ("jamo", False)


def test_a_different_normaliser_of_the_transcripts_is_warned_of(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pretrained = load_pretrained(run)
    vocabulary = pretrained.vocabulary.extended(Vocabulary.from_texts(["각"]))
    report_finetuning(pretrained, vocabulary, "spelling/3")
    assert "trained on plain/2 text, now on spelling/3 text" in caplog.text
