"""`sorigeul export`: what it prints, and that what it writes is used like a run."""

import json
from dataclasses import fields
from pathlib import Path

import pytest
from helpers.commands import Command

from sorigeul.evaluation.attention_metrics import AttentionMetrics

ATTENTION = {field.name for field in fields(AttentionMetrics)}
"""what an export cannot tell: its speller reads no given text"""


def test_an_export_is_used_like_a_run(
    sorigeul: Command, run: Path, audio: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    done = sorigeul("export", run, out, "--int8", "--recording", audio / "u01.wav")
    assert done.status == 0
    assert done.err == ""
    assert done.out.startswith(f"{out}: ")
    assert "on 1 recording\n" in done.out
    assert (out / "listener.onnx").is_file()
    expected = sorigeul("transcribe", run, audio / "u09.wav")
    assert sorigeul("transcribe", out, audio / "u09.wav").out == expected.out
    judged = [sorigeul("evaluate", one, corpus, "--json", "-") for one in (run, out)]
    assert [one.status for one in judged] == [0, 0]
    scores = [json.loads(one.out) for one in judged]
    assert scores[1]["cer"] == pytest.approx(scores[0]["cer"], abs=10)
    assert scores[1].keys() == scores[0].keys() - {"loss", *ATTENTION}
    assert "compared on noise" in sorigeul("export", run, tmp_path / "other").err


def test_what_needs_the_run_itself_says_so(
    sorigeul: Command, run: Path, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "exported"
    assert sorigeul("export", run, out).status == 0
    for command in (("info", out), ("tune", out, corpus)):
        refused = sorigeul(*command)
        assert refused.status == 2
        assert "is an export" in refused.err
    again = sorigeul("export", run, out)
    assert (again.status, again.out) == (2, "")
    assert "--overwrite" in again.err
