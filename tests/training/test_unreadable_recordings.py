"""Recordings that cannot be read: a run tolerates as many as `max_failures` allows."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import tones
from helpers.commands import Done
from helpers.processes import Ranks

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
