"""Manifests as lhotse reads them."""

from pathlib import Path

import pytest
from helpers.trees import write_text, write_tone

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare


def test_a_manifest_holds_valid_lhotse_cuts(tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    write_tone(tmp_path / "a.wav", 1.23456, rate=44_100)
    table = write_text(tmp_path / "t.csv", "audio,text,speaker\na.wav,그래,나\n")
    prepare(CORPORA["table"], table, tmp_path / "out")
    (cut,) = lhotse.CutSet.from_jsonl_lazy(tmp_path / "out" / "train.jsonl")
    lhotse.validate(cut)
    assert isinstance(cut, lhotse.MonoCut)
    assert (cut.id, cut.sampling_rate, cut.num_samples) == ("a.wav", 16_000, 19_753)
    assert cut.duration == pytest.approx(1.23456, abs=1 / 16_000)
    (supervision,) = cut.supervisions
    assert (supervision.text, supervision.speaker) == ("그래", "나")
    assert (supervision.language, supervision.normalizer) == ("Korean", "plain/2")
    (source,) = cut.recording.sources
    assert (source.type, source.source) == ("file", str(tmp_path / "a.wav"))
