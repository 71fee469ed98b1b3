"""What the tests of training share."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers.learners import PLAIN, VOCABULARY

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare
from sorigeul.data import manifests
from sorigeul.data.batches import Batch
from sorigeul.data.sampling import training_batches


@pytest.fixture(scope="session")
def babble(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of twelve recordings of noise with texts: enough to see what a setting changes."""
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


@pytest.fixture(scope="module")
def batches(corpus: Path) -> list[Batch]:
    cuts = manifests.required_manifest(corpus, "train")
    return list(training_batches(cuts, VOCABULARY, PLAIN.data, 0))
