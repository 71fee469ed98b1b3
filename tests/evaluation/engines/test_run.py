"""A run of ours as an engine: the texts of `transcribe`, and what a change of the run changes."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.base.weights import read_weights, write_weights
from sorigeul.evaluation.engines.engine import Utterance
from sorigeul.evaluation.engines.run import Run


def test_the_texts_are_those_of_transcribe(run: Path, utterances: Sequence[Utterance]) -> None:
    results = list(Run(str(run)).transcribe(utterances[:12]))
    recognizer = Recognizer.from_pretrained(run, "cpu")
    for utterance, one in zip(utterances, results, strict=False):
        path = utterance.cut.recording.sources[0].source
        assert (one.id, one.error) == (utterance.id, "")
        assert one.text == recognizer.transcribe(path).text
        assert one.seconds is not None
        assert one.seconds > 0


def test_a_recording_that_cannot_be_read_spares_the_others(
    run: Path, with_unreadable: Sequence[Utterance]
) -> None:
    results = {one.id: one for one in Run(str(run)).transcribe(with_unreadable)}
    assert sorted(results) == [f"u0{number}.wav" for number in range(4)]
    assert [results[f"u0{number}.wav"].error == "" for number in range(4)] == [
        True,
        False,
        True,
        True,
    ]
    assert "u01.wav" in results["u01.wav"].error


def test_the_fingerprint_is_that_of_the_model_and_its_search(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    fingerprint = Run(str(run)).fingerprint
    assert Run(str(copy)).fingerprint == fingerprint
    weights = copy / "model.safetensors"
    tensors, metadata = read_weights(weights)
    tensors["speller.out.bias"][0] += 1
    write_weights(weights, tensors, metadata)
    assert Run(str(copy)).fingerprint != fingerprint


def test_what_is_no_run_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({}), encoding="utf-8")
    with pytest.raises(UserError):
        Run(str(tmp_path))
