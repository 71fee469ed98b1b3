"""Error rates on degraded copies: the same at every call, and with failures counted."""

from pathlib import Path

import pytest
from helpers import tones

from sorigeul import Recognizer
from sorigeul.data import manifests
from sorigeul.evaluation.robustness import degraded_scores, robustness_table
from sorigeul.sound.degradations import Degradation


@pytest.fixture(scope="module")
def recognizer(run: Path) -> Recognizer:
    return Recognizer.from_pretrained(run, "cpu", beam=1)


def parsed(*texts: str) -> list[Degradation]:
    return [Degradation.parse(text) for text in texts]


def test_degraded_scores_are_the_same_at_every_call(recognizer: Recognizer, corpus: Path) -> None:
    cuts = manifests.required_manifest(corpus, "dev")
    degradations = parsed("white:-5", "babble:0", "silence:2+level:-20")
    first = degraded_scores(recognizer, cuts, degradations)
    assert list(first) == ["white:-5", "babble:0", "silence:2+level:-20"]
    assert degraded_scores(recognizer, cuts, degradations) == first
    assert first["white:-5"]["crr"] < first["silence:2+level:-20"]["crr"]


def test_what_cannot_be_read_counts_as_recognised_as_nothing(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    folder = tones.manifests(tmp_path, tones.texts(6), ["test"] * 6)
    for path in (tmp_path / "audio").glob("*.wav"):
        path.write_bytes(b"not a recording")
    cuts = manifests.required_manifest(folder, "test")
    assert degraded_scores(recognizer, cuts, parsed("level:-20"))["level:-20"]["crr"] == 0


def test_the_table_begins_with_the_corpus_as_recorded() -> None:
    rates = {"crr": 90.0, "cer": 12.345, "wer": 30.0}
    table = robustness_table({**rates, "degraded": {"rir:0.4": {**rates, "crr": 80.0}}})
    assert table.splitlines() == [
        "| degradation | CRR (%) | CER (%) | WER (%) |",
        "| ----------- | ------: | ------: | ------: |",
        "| as recorded |   90.00 |   12.35 |   30.00 |",
        "| rir:0.4     |   80.00 |   12.35 |   30.00 |",
    ]
