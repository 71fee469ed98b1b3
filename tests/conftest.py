"""Fixtures that the tests of several folders share."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from helpers.commands import Command
    from torch import Tensor

    from sorigeul import ListenAttendSpell

# A busy machine is no failure: properties have no deadline.
settings.register_profile(
    "no deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no deadline")

# Set before torch is loaded: tiny models gain nothing from threads, and on a busy machine threads
# wait for each other many times as long as they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Called before they are loaded, so that a failed assertion in them shows its values.
pytest.register_assert_rewrite("helpers.commands", "helpers.processes", "helpers.waves")


# Folders whose tests take longest. They begin first, so that no process is left alone with them.
LONG = ("training", "recognition", "serving", "journeys", "doctor")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session")
def tiny() -> Callable[..., ListenAttendSpell]:
    """Builds a small model in evaluation mode, with no weight at a neutral value."""
    import torch

    from sorigeul import LASConfig, ListenAttendSpell

    def build(**changes: Any) -> ListenAttendSpell:
        settings: dict[str, Any] = {
            "hidden_size": 8,
            "conv_channels": 4,
            "n_mels": 8,
            "vocabulary_size": 30,
            "listener_layer_size": 3,
            "speller_layer_size": 2,
            "attention_heads": 2,
        }
        torch.manual_seed(1)
        model = ListenAttendSpell(LASConfig(**(settings | changes)))
        with torch.no_grad():  # as after training: a layer at identity or zero could hide errors
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
            for name, statistic in model.named_buffers():
                if "running" in name:
                    statistic.uniform_(0.5, 1.5)
        return model.eval()

    return build


@pytest.fixture(scope="session")
def utterances() -> Callable[..., tuple[Tensor, Tensor]]:
    """Builds features (B, T, F) of noise, zero beyond each length, and the lengths (B,)."""
    import torch

    def build(*lengths: int, frames: int = 0, bands: int = 8) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(2)
        features = torch.zeros(len(lengths), max(frames, *lengths, 0), bands)
        for row, length in enumerate(lengths):
            features[row, :length] = torch.randn(length, bands, generator=generator)
        return features, torch.tensor(lengths)

    return build


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Manifests of 40 short recordings for train, 4 for dev, 4 for test. Do not change them."""
    from helpers import tones
    from helpers.shared import made_once

    splits = ["test"] * 4 + ["dev"] * 4 + ["train"] * 40
    texts = tones.texts(48)

    def make(folder: Path) -> None:
        tones.manifests(folder, texts, splits)

    return made_once(tmp_path_factory, worker_id, "corpus", make) / "manifests"


@pytest.fixture(scope="session")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a finished run on `corpus` with `tones.STURDY`. Do not change it."""
    from helpers import tones
    from helpers.shared import made_once

    from sorigeul.training.run import train

    def make(folder: Path) -> None:
        train(corpus, folder / "tiny", tones.STURDY)

    return made_once(tmp_path_factory, worker_id, "trained", make) / "tiny"


@pytest.fixture(scope="session")
def bpe_corpus(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Manifests of sentences of one to three words, out of five. Do not change them."""
    from random import Random

    from helpers import tones
    from helpers.shared import made_once

    random = Random(0)
    words = ("가", "나라", "다나가", "라다", "가나")
    texts = [" ".join(random.choices(words, k=1 + number % 3)) for number in range(68)]
    splits = ["test"] * 4 + ["dev"] * 4 + ["train"] * 60

    def make(folder: Path) -> None:
        tones.manifests(folder, texts, splits)

    return made_once(tmp_path_factory, worker_id, "words", make) / "manifests"


@pytest.fixture(scope="session")
def bpe_run(bpe_corpus: Path, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The folder of a finished run that writes units of several characters. Do not change it."""
    from helpers import tones
    from helpers.shared import made_once

    from sorigeul.training.run import train

    def make(folder: Path) -> None:
        settings = {"vocabulary": "bpe", "bpe_units": 20, "jamo_ctc_weight": 0.2}
        train(bpe_corpus, folder / "bpe", tones.STURDY.changed(settings, "bpe"))

    return made_once(tmp_path_factory, worker_id, "trained bpe", make) / "bpe"


@pytest.fixture(scope="session")
def counting_run(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of `run`, but it writes 일이삼오 for 가나다라. Do not change it."""
    from dataclasses import replace

    from sorigeul.pretrained.loading import load_pretrained
    from sorigeul.pretrained.publishing import publish
    from sorigeul.text.vocabulary import Vocabulary

    folder = tmp_path_factory.mktemp("counting") / "counting"
    folder.mkdir()
    pretrained = load_pretrained(str(run), "cpu")
    names = dict(zip("가나다라", "일이삼오", strict=True))
    units = tuple(names.get(unit, unit) for unit in pretrained.vocabulary.units)
    publish(folder, replace(pretrained, vocabulary=Vocabulary(units)))
    return folder


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Runs draw no plots, but for those whose plots a test looks at (`helpers.figures`)."""
    from helpers.figures import undrawn_plots

    with undrawn_plots():
        yield


@pytest.fixture
def three_threads() -> Iterator[None]:
    """As on a machine of three cores: three batches are computed at a time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def restored_logger() -> Iterator[None]:
    """The logger that a command sets up is restored afterwards."""
    log = logging.getLogger("sorigeul")
    before = log.handlers, log.level, log.propagate
    yield
    log.handlers, log.level, log.propagate = before


@pytest.fixture
def sorigeul(restored_logger: None, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""
    from helpers.commands import Command

    return Command(capsys)


@pytest.fixture
def audio(corpus: Path) -> Path:
    """The folder of the recordings of `corpus`, u00.wav to u47.wav."""
    return corpus.parent / "audio"


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Path]:
    """Files without any audible sound, by what is wrong with them."""
    import numpy as np
    import soundfile

    paths = {name: tmp_path / f"{name}.wav" for name in ("empty", "silent", "other", "short")}
    paths["empty"].write_bytes(b"")
    soundfile.write(paths["silent"], np.zeros(16_000), 16_000)
    paths["other"].write_text("# a text\n" * 100, encoding="utf-8")
    soundfile.write(paths["short"], np.zeros(0), 16_000)
    return paths
