"""benchmarks/long_recording.py: where subtitles begin, that it runs, and two hours as a proof."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.paths import ROOT
from helpers.scripts import load_benchmark

long_recording = load_benchmark("long_recording")
Utterance = long_recording.Utterance
QUICKSTART, DEMO = ROOT / "runs" / "quickstart", ROOT / "data" / "demo"


def measure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> dict[str, Any]:
    """The figures that the script prints."""
    monkeypatch.setattr(sys, "argv", ["long_recording.py", *map(str, arguments)])
    long_recording.main()
    figures: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return figures


def test_an_utterance_is_heard_where_it_gets_loud() -> None:
    rate = long_recording.RATE
    tone = np.sin(np.arange(rate) / 20).astype(np.float32)
    faint = 0.001 * tone[: rate // 4]
    assert long_recording._onset(np.concatenate((faint, tone, faint))) == 0.25


def test_only_subtitles_that_begin_with_an_utterance_tell_where_it_begins() -> None:
    utterances = [Utterance("가 나", 1.0), Utterance("다 라", 5.0), Utterance("마", 9.0)]
    cues = [(1.1, "가 나 다"), (5.5, "라"), (8.8, "마")]
    found = long_recording._beginnings(utterances, cues)
    assert found == [(1.0, pytest.approx(0.1)), (9.0, pytest.approx(-0.2))]
    assert long_recording._beginnings(utterances, [(1.0, "바 나"), (9.0, "마")]) == [(9.0, 0.0)]


def test_it_joins_transcribes_and_compares(
    run: Path,
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = (
        run,
        corpus,
        "--split",
        "dev",
        "--repeat",
        "2",
        "--work",
        tmp_path,
        "--",
        "--beam=2",
    )
    figures = measure(monkeypatch, capfd, *arguments)
    said = json.loads((tmp_path / "utterances.json").read_bytes())
    assert len(said) == 2 * len((corpus / "dev.jsonl").read_text().splitlines())
    assert 0 < figures["subtitles"] <= len(said)
    assert figures["crr, joined"] == pytest.approx(figures["crr, one by one"], abs=40)
    assert measure(monkeypatch, capfd, *arguments) == figures  # from what is there
    with pytest.raises(SystemExit, match="is of other arguments: choose another --work"):
        measure(monkeypatch, capfd, *arguments[:-1])


@pytest.mark.prove
@pytest.mark.skipif(not QUICKSTART.is_dir(), reason="make quickstart has not run")
def test_subtitles_do_not_drift_in_two_hours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    figures = measure(monkeypatch, capfd, QUICKSTART, DEMO, "--split", "train", "--work", tmp_path)
    assert figures["hours"] > 2
    places = figures["places"]
    assert len(places) == 10
    assert places[-1]["at"] > 7200
    assert all(abs(place["late"]) < 0.2 for place in places)
    assert figures["MiB resident"] < 1024
