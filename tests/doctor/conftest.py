"""Fixtures of the tests of the doctor: a corpus of synthesised speech, and the doctor's clock."""

import functools
from pathlib import Path

import pytest
from helpers.damaged_corpora import copy_corpus, rows
from helpers.fake_clock import FakeClock
from helpers.shared import made_once

from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.doctor import preflight
from sorigeul.synthesis.demo import DEMO
from sorigeul.training.learner import Learner


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Manifests of 320 utterances of synthesised speech, 272 of them in train. Do not change them.

    Small models do not learn them within a few steps.
    """

    def make(folder: Path) -> None:
        prepare(DEMO, None, folder, PrepareOptions(utterances=320))

    return made_once(tmp_path_factory, worker_id, "demo", make)


@pytest.fixture(scope="session")
def small_demo(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `demo`, with 80 utterances in train. Do not change it."""
    return copy_corpus(demo, tmp_path_factory.mktemp("small") / "demo", train=rows(demo)[:80])


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of the doctor: a training step takes one second, anything else no time.

    So `--time_limit 5` allows five steps on every machine.
    """
    clock = FakeClock(monkeypatch)
    clock.charge(Learner, "step", 1.0)
    with_clock = functools.partial(preflight.preflight, clock=clock)
    monkeypatch.setattr(preflight, "preflight", with_clock)
    return clock
