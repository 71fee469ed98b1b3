"""The commands in the order in which a newcomer uses them, from recordings to transcripts."""

import json
from pathlib import Path

import numpy as np
import soundfile
from helpers.commands import Command

THREE_STEPS = [
    "--preset=quickstart",
    "--hidden_size=16",
    "--conv_channels=4",
    "--max_steps=3",
]


def test_from_synthesised_speech_to_a_transcript(sorigeul: Command, tmp_path: Path) -> None:
    """The quick start with a small model: synthesise, train, evaluate, transcribe, inspect."""
    data, run = tmp_path / "data", tmp_path / "run"
    prepared = sorigeul("prepare", "demo", data, "--utterances", "100")
    assert prepared.status == 0, prepared.err
    assert "100 usable utterances" in prepared.out
    trained = sorigeul("train", data, run, *THREE_STEPS)
    assert trained.status == 0, trained.err
    assert "|Epoch|train CRR (%)|valid CRR (%)|test CRR (%)|" in trained.out
    evaluated = sorigeul("evaluate", run, data, "--json", "-")
    assert evaluated.status == 0, evaluated.err
    assert json.loads(evaluated.out)["utterances"] == 10
    recording = next((data / "audio").rglob("*-test-*.flac"))
    transcribed = sorigeul("transcribe", run, recording, "--attention", tmp_path / "attention.png")
    assert transcribed.status == 0, transcribed.err
    assert (tmp_path / "attention.png").is_file()
    assert "(listener): Listener(" in sorigeul("info", run).out


def test_from_recordings_and_a_table_to_subtitles(sorigeul: Command, tmp_path: Path) -> None:
    """Own recordings at the sampling rate of telephones, one of them missing."""
    rows = ["audio,text,speaker"]
    for index in range(8):
        noise = np.random.default_rng(index).standard_normal(9000) * 0.1
        soundfile.write(tmp_path / f"{index}.wav", noise, 8000)
        rows.append(f"{index}.wav,안녕하세요 {index},{index % 4}")
    (tmp_path / "table.csv").write_text("\n".join([*rows, "gone.wav,없음,0"]), encoding="utf-8")
    data, run = tmp_path / "data", tmp_path / "run"
    prepared = sorigeul("prepare", "table", tmp_path / "table.csv", data)
    assert "8 usable utterances" in prepared.out
    assert "1 rejected" in prepared.out
    assert "gone.wav" in prepared.err
    trained = sorigeul("train", data, run, *THREE_STEPS)
    assert trained.status == 0, trained.err
    assert sorigeul("evaluate", run, data, "--split", "dev").status == 0
    assert sorigeul("transcribe", run, tmp_path / "0.wav", "--format", "srt").status == 0
