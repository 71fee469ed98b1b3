"""Recordings that cannot be read: a run tolerates as many as `max_failures` allows."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import tones
from helpers.commands import Done
from helpers.processes import Ranks
from helpers.runs import checkpoints

from sorigeul.base.errors import UserError
from sorigeul.training import run as run_module
from sorigeul.training.learner import Learner, StepResult
from sorigeul.training.metrics import read_metrics
from sorigeul.training.settings import Settings

ONE_EPOCH = tones.TINY.changed(
    {"max_epochs": 1, "augment_ratio": 0.0, "max_failures": 0.1}, "ONE_EPOCH"
)
Corpus = Callable[[int, int], Path]


@pytest.fixture
def corpus_with_failures(tmp_path: Path) -> Corpus:
    """Makes manifests of a number of utterances, the first few of which can no longer be read."""

    def make(utterances: int, unreadable: int) -> Path:
        splits = ["train"] * utterances + ["dev", "test"]
        manifests = tones.manifests(tmp_path, tones.texts(len(splits)), splits)
        for number in range(unreadable):
            (tmp_path / "audio" / f"u{number:02}.wav").write_bytes(b"no sound")
        return manifests

    return make


def train(corpus: Path, folder: Path, settings: Settings, processes: int = 1) -> list[Done]:
    (folder / "s.yaml").write_text(settings.to_yaml(), encoding="utf-8")
    command = ["train", corpus, folder / "run", "--config", folder / "s.yaml"]
    return [process.done() for process in Ranks(folder / "output", processes, *command)]


@pytest.mark.parametrize("processes", [1, 2])
def test_too_many_unreadable_recordings_stop_the_run(
    tmp_path: Path, corpus_with_failures: Corpus, processes: int
) -> None:
    first, *others = train(corpus_with_failures(20, 3), tmp_path, ONE_EPOCH, processes)
    assert first.status == 2
    assert first.error() == (
        "3 of 20 utterances could not be read, more than max_failures 0.1: see to the recordings "
        "named above, or raise max_failures"
    )
    for other in others:
        assert other.status == 2
        assert "error" not in other.err
    messages = "".join(done.err for done in (first, *others))
    assert sorted(re.findall(r"warning: (\S+) left out", messages)) == [
        "u00.wav",
        "u01.wav",
        "u02.wav",
    ]


def test_as_many_unreadable_recordings_as_allowed_do_not_stop_the_run(
    tmp_path: Path, corpus_with_failures: Corpus
) -> None:
    (done,) = train(corpus_with_failures(20, 2), tmp_path, ONE_EPOCH)
    assert done.status == 0, done.err
    assert read_metrics(tmp_path / "run", "epoch")[0]["failures"] == 2


def test_failures_are_judged_after_a_hundred_utterances_and_not_before(
    tmp_path: Path, corpus_with_failures: Corpus
) -> None:
    settings = ONE_EPOCH.changed({"augment_ratio": 9.0, "batch_size": 10}, "test")
    (done,) = train(corpus_with_failures(40, 10), tmp_path, settings)
    assert done.status == 2
    failures, among = map(int, re.findall(r"(\d+) of (\d+) utterances", done.error())[0])
    assert 100 <= among < 140
    assert failures < 60


# A run may end before its epoch does.


def limited(**limits: Any) -> Settings:
    return ONE_EPOCH.changed({"batch_size": 4, **limits}, "test")


@pytest.fixture
def stopped_at_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during the first step of a run."""
    step = Learner.step

    def stopped(*arguments: Any) -> StepResult:
        os.kill(os.getpid(), signal.SIGINT)
        return step(*arguments)

    monkeypatch.setattr(Learner, "step", stopped)


@pytest.mark.parametrize("limits", [{"max_steps": 2}, {"max_seconds": 1e-9}], ids=str)
def test_a_run_that_read_nothing_fails_at_its_limit_and_publishes_nothing(
    tmp_path: Path, corpus_with_failures: Corpus, limits: dict[str, Any]
) -> None:
    run = tmp_path / "run"
    corpus = corpus_with_failures(12, 12)
    for _ in range(2):  # the second one resumes
        with pytest.raises(UserError, match=r"^(4|8) of \1 utterances could not be read"):
            run_module.train(corpus, run, limited(**limits))
        assert not (run / "model.safetensors").exists()


def test_one_unreadable_recording_of_the_few_that_a_run_read_is_no_large_share(
    tmp_path: Path, corpus_with_failures: Corpus
) -> None:
    corpus = corpus_with_failures(4, 1)
    run_module.train(corpus, tmp_path / "run", limited(max_steps=1))
    assert read_metrics(tmp_path / "run", "epoch")[0]["failures"] == 1
    with pytest.raises(UserError, match="1 of 4 utterances could not be read"):
        run_module.train(corpus, tmp_path / "whole", limited())


@pytest.mark.usefixtures("stopped_at_the_first_step")
def test_a_run_that_is_stopped_keeps_its_state_and_says_that_too_much_was_unreadable(
    tmp_path: Path, corpus_with_failures: Corpus
) -> None:
    with pytest.raises(UserError, match=r"utterances could not be read, more than max_failures"):
        run_module.train(corpus_with_failures(24, 18), tmp_path / "run", limited())
    assert checkpoints(tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.usefixtures("stopped_at_the_first_step")
def test_what_a_stopped_run_has_learnt_is_published_if_it_resumes_at_its_limit(
    tmp_path: Path, corpus_with_failures: Corpus
) -> None:
    run, corpus = tmp_path / "run", corpus_with_failures(24, 0)
    run_module.train(corpus, run, limited())
    assert not (run / "model.safetensors").exists()
    run_module.train(corpus, run, limited(max_steps=1))  # two were taken
    assert (run / "model.safetensors").exists()
    assert [row["step"] for row in read_metrics(run, "epoch")] == [2]
