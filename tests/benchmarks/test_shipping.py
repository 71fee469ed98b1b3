"""benchmarks/shipping.py: what it measures, and that it runs."""

from pathlib import Path

import pytest
import soundfile
from helpers.scripts import load_benchmark

from sorigeul.exporting.export import export

shipping = load_benchmark("shipping")


def test_recordings_have_the_lengths_that_are_measured(corpus: Path, tmp_path: Path) -> None:
    recordings = shipping.write_recordings(corpus, tmp_path)
    for length in shipping.LENGTHS:
        assert soundfile.info(recordings / f"{length}.wav").duration == length


def test_a_run_and_its_export_are_measured(
    run: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "REPEATS", 1)
    monkeypatch.setattr(shipping, "LENGTHS", (2, 5))
    recordings = shipping.write_recordings(corpus, tmp_path)
    export(str(run), tmp_path / "exported")
    for source in (run, tmp_path / "exported"):
        found = shipping.measure(source, recordings, "float32")
        assert len(found["factors"]) == 2
        assert all(factor > 0 for factor in found["factors"])
        assert found["resident"] > 20
    sizes = [shipping.Way("", one).megabytes for one in (run, tmp_path / "exported")]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.5)
