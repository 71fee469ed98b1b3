"""Fixtures of the tests of training."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.learners import PLAIN, VOCABULARY
from helpers.processes import Ranks
from helpers.runs import THREE_EPOCHS, config_option
from helpers.shared import made_once

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare
from sorigeul.data import manifests
from sorigeul.data.batches import Batch
from sorigeul.data.sampling import training_batches


@pytest.fixture(scope="module", autouse=True)
def plots_are_not_drawn(undrawn: None) -> None:
    """All tests here use `undrawn`."""


@pytest.fixture(scope="session")
def babble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of 14 recordings of noise with texts for train, one for dev and one for test.

    Nothing can be learnt from them, but they show what a setting changes.
    """
    folder = tmp_path_factory.mktemp("babble")
    random = np.random.default_rng(0)
    rows = ["audio\ttext\tspeaker\tsplit"]
    for index in range(16):
        name = f"{index:02}.wav"
        samples = random.standard_normal(6000 + 700 * index) * 0.1
        soundfile.write(folder / name, samples, 16000)
        split = {14: "dev", 15: "test"}.get(index, "train")
        text = "".join(random.choice(list("가나다라마바사 ")) for _ in range(3 + index // 3)) + "아"
        rows.append(f"{name}\t{text}\tspeaker{index % 3}\t{split}")
    (folder / "table.tsv").write_text("\n".join(rows), encoding="utf-8")
    prepare(CORPORA["table"], folder / "table.tsv", folder / "data")
    return folder / "data"


@pytest.fixture(scope="session")
def whole_run(
    babble: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[int], Path]:
    """Gives the finished run of `THREE_EPOCHS` that so many processes made without interruption."""

    def run(processes: int) -> Path:
        def make(folder: Path) -> None:
            option = config_option(folder / "s.yaml", **THREE_EPOCHS)
            command = ["train", babble, folder / "run", *option]
            Ranks(folder / "output", processes, *command).expect_success()

        return made_once(tmp_path_factory, worker_id, f"whole{processes}", make) / "run"

    return run


@pytest.fixture(scope="session")
def one_unreadable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of 33 utterances for train, of which one cannot be read, and 4 for dev and test."""
    folder = tmp_path_factory.mktemp("one_unreadable")
    splits = ["test"] * 4 + ["dev"] * 4 + ["train"] * 33
    data = tones.manifests(folder, tones.texts(41), splits)
    (folder / "audio" / "u20.wav").write_bytes(b"no sound")
    return data


@pytest.fixture(scope="module")
def batches(corpus: Path) -> list[Batch]:
    """The batches of the first epoch of `corpus` with the settings `PLAIN`."""
    cuts = manifests.required_manifest(corpus, "train")
    return list(training_batches(cuts, VOCABULARY, PLAIN.data, 0))
