"""`sorigeul info` and `sorigeul bench`: what they print. `doctor` is tested in tests/doctor."""

import json
from pathlib import Path

import pytest
from helpers.commands import Command

from sorigeul import Recognizer
from sorigeul.bench.suite_names import SUITES
from sorigeul.pretrained.loading import load_pretrained


def test_info_describes_a_run(sorigeul: Command, run: Path) -> None:
    done = sorigeul("info", run)
    assert (done.status, done.err) == (0, "")
    pretrained = load_pretrained(run)
    assert done.out.startswith(f"{pretrained.model}\n")
    assert "(bottom_rnn): GRU(32, 16, " in done.out
    assert f"vocabulary: 7 units (syllable), {pretrained.vocabulary.hash[:12]}" in done.out
    assert f"features: {pretrained.features}" in done.out
    assert "text: plain/2" in done.out
    assert f"valid_crr: {pretrained.results['valid_crr']}" in done.out
    options = Recognizer.from_pretrained(run, "cpu").search.options
    searched = f"CTC {options.ctc_weight:g}, length bonus {options.length_bonus:g} (not tuned)"
    assert f"search: beam 6, {searched}" in done.out
    assert (run / "results.md").read_text(encoding="utf-8") in done.out


def test_bench_names_what_it_measures(sorigeul: Command) -> None:
    assert ", ".join(SUITES) in " ".join(sorigeul("bench", "--help").out.replace("│", " ").split())


@pytest.mark.prove  # a minute where librosa is compiled first
def test_bench_prints_a_measurement_a_line(sorigeul: Command) -> None:
    done = sorigeul("bench", "features", "--json")
    measurements = {line["name"]: line for line in map(json.loads, done.out.splitlines())}
    for measurement in measurements.values():
        assert measurement.keys() >= {"name", "value", "unit", "yardstick", "ratio"}
        assert measurement["value"] > 0
    features = measurements["features, one core"]
    assert features["ratio"] > 0
    assert features["yardstick"].startswith("librosa")
