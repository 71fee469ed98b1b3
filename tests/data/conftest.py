"""Fixtures of the tests of manifests, sampling and batches."""

from pathlib import Path

import pytest
from helpers import tones
from helpers.cuts import cuts_without_audio
from lhotse import CutSet

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.data import manifests


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 120 training utterances, whose recordings have moved. Do not change it.

    "archives" has manifests with archives of ten recordings, "files" manifests of recordings that
    were in "audio", and are now in "moved".
    """
    folder = tmp_path_factory.mktemp("prepared")
    splits = ["dev"] * 4 + ["test"] * 4 + ["train"] * 120
    table = tones.record(folder / "audio", tones.texts(len(splits)), splits)
    prepare(CORPORA["table"], table, folder / "files")
    prepare(CORPORA["table"], table, folder / "archives", PrepareOptions(shards=10))
    (folder / "audio").rename(folder / "moved")
    return folder


@pytest.fixture
def archived_cuts(prepared: Path) -> CutSet:
    return manifests.required_manifest(prepared / "archives", "train")


@pytest.fixture
def cuts(corpus: Path) -> CutSet:
    """Forty utterances, with recordings."""
    return manifests.required_manifest(corpus, "train")


@pytest.fixture
def many_cuts(tmp_path: Path) -> CutSet:
    """A thousand utterances of 1 to 11 s, without recordings."""
    return cuts_without_audio(tmp_path, [1 + (37 * number % 1000) / 100 for number in range(1000)])
