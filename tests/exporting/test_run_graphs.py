"""A run that is loaded without PyTorch: as with it, or refused in the same words."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.paths import ROOT
from safetensors.torch import load_file, save_file

from sorigeul import Recognizer
from sorigeul.base.errors import UserError
from sorigeul.exporting.run_graphs import load_run
from sorigeul.exporting.runtime import OnnxModel
from sorigeul.pretrained.loading import load_pretrained
from sorigeul.recognition.fingerprints import model_fingerprint

_WITHOUT_PYTORCH = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('torch', 'lhotse', 'safetensors'):
            raise ModuleNotFoundError(name + ' is blocked', name=name)
sys.meta_path.insert(0, Blocked())
from sorigeul.cli import main
main(sys.argv[1:])
"""


def test_a_run_transcribes_where_pytorch_cannot_be_imported(
    run: Path, audio_files: list[Path]
) -> None:
    command = [sys.executable, "-c", _WITHOUT_PYTORCH, "transcribe", str(run), str(audio_files[1])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    expected = Recognizer.from_pretrained(run, engine="torch").transcribe(audio_files[1]).text
    assert (done.stdout, done.returncode) == (f"{expected}\n", 0), done.stderr
    assert expected


def test_everything_but_the_model_is_as_pytorch_loads_it(run: Path) -> None:
    found, expected = load_run(run), load_pretrained(run)
    assert isinstance(found.model, OnnxModel)
    for name in ("features", "normalizer", "results", "longest_utterance", "unseen_units"):
        assert getattr(found, name) == getattr(expected, name)
    assert found.vocabulary.hash == expected.vocabulary.hash
    assert found.results


def test_the_fingerprint_is_that_of_the_weights(run: Path, tmp_path: Path) -> None:
    """So results of another model are told apart, and those of the same are taken up again."""
    prints = [model_fingerprint(load_run(run)) for _ in range(2)]
    assert prints[0] == prints[1]
    changed = changed_run(run, tmp_path, lambda weights: weights["speller.out.bias"].add_(0.1))
    assert model_fingerprint(load_run(changed)) != prints[0]


Change = Callable[[dict[str, torch.Tensor]], object]


def changed_run(run: Path, folder: Path, change: Change) -> Path:
    """A copy of a run with other weights, in a file without a checksum."""
    copy = folder / "changed"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoints", "plots"))
    weights = load_file(copy / "model.safetensors")
    change(weights)
    metadata = {"vocabulary_hash": load_pretrained(run).vocabulary.hash}
    save_file(weights, copy / "model.safetensors", metadata)
    return copy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("speller.out.bias"), "does not fit config.json"),
        (lambda weights: weights.update(more=torch.zeros(3)), "does not fit config.json"),
        (
            lambda weights: weights.update({"speller.out.bias": torch.zeros(3)}),
            "does not fit config.json",
        ),
        (lambda weights: weights["speller.out.bias"].fill_(torch.nan), "not finite"),
    ],
)
def test_weights_that_cannot_be_are_refused_as_pytorch_refuses_them(
    run: Path, tmp_path: Path, change: Change, message: str
) -> None:
    folder = changed_run(run, tmp_path, change)
    with pytest.raises(UserError, match=message) as expected:
        load_pretrained(folder)
    with pytest.raises(UserError) as found:
        load_run(folder)
    assert str(found.value) == str(expected.value)


def test_weights_in_half_precision_are_those_that_pytorch_reads(run: Path, tmp_path: Path) -> None:
    def halve(weights: dict[str, torch.Tensor]) -> None:
        for number, name in enumerate(sorted(weights)):
            if weights[name].is_floating_point():
                half = torch.float16 if number % 2 else torch.bfloat16
                weights[name] = weights[name].to(half)

    folder = changed_run(run, tmp_path, halve)
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    found, expected = (
        Recognizer.from_pretrained(folder, engine=engine).transcribe_samples([samples])[0]
        for engine in ("auto", "torch")
    )
    assert found.text == expected.text
    assert [one.confidence for one in found.segments] == pytest.approx(
        [one.confidence for one in expected.segments], abs=1e-3
    )


def test_a_configuration_of_another_run_is_refused(run: Path, tmp_path: Path) -> None:
    """Its layers are not those of the weights."""
    folder = changed_run(run, tmp_path, lambda _: None)
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model"]["speller_layer_size"] += 1
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match=r"does not fit config\.json: both must come from one run"):
        load_run(folder)


def test_a_run_has_one_fingerprint_whatever_computes_it(run: Path) -> None:
    """So work that was begun on a GPU goes on without one."""
    assert model_fingerprint(load_run(run)) == model_fingerprint(load_pretrained(run))


def test_a_recognizer_is_pickled_and_copied(run: Path, audio_files: list[Path]) -> None:
    recognizer = Recognizer.from_pretrained(run)
    expected = recognizer.transcribe(audio_files[1]).text
    for copy in (pickle.loads(pickle.dumps(recognizer)), deepcopy(recognizer)):
        assert copy.is_onnx
        assert copy.transcribe(audio_files[1]).text == expected


def test_a_model_that_was_replaced_is_not_taken_for_the_one_that_was_pickled(
    run: Path, tmp_path: Path
) -> None:
    folder = changed_run(run, tmp_path, lambda _: None)
    pickled = pickle.dumps(load_run(folder).model)
    shutil.rmtree(folder)
    changed_run(run, tmp_path, lambda weights: weights["speller.out.bias"].add_(0.1))
    with pytest.raises(UserError, match="has been replaced since it was loaded"):
        pickle.loads(pickled)
