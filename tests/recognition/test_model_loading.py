"""What computes a model: ONNX Runtime wherever it can, PyTorch for everything else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sorigeul import Recognizer
from sorigeul.base.capacity import may_have_gpu
from sorigeul.base.errors import UserError
from sorigeul.exporting.export import export
from sorigeul.exporting.runtime import OnnxModel
from sorigeul.lm.network import NetworkModel
from sorigeul.lm.ngram import NgramOptions, train_ngram
from sorigeul.lm.recurrent import RecurrentConfig, RecurrentNetwork
from sorigeul.lm.text_data import TextData
from sorigeul.pretrained.description import describe_pretrained
from sorigeul.recognition import model_loading
from sorigeul.search.options import SearchRequest


def computed_by_onnx(source: Path, **options: Any) -> bool:
    recognizer = Recognizer.from_pretrained(source, **options)
    return isinstance(recognizer.pretrained.model, OnnxModel)


def test_a_run_is_computed_by_onnx_runtime_on_a_cpu(run: Path) -> None:
    assert computed_by_onnx(run)
    assert computed_by_onnx(run, device="cpu")
    assert computed_by_onnx(run, device=torch.device("cpu", 0))
    assert computed_by_onnx(run, request=SearchRequest(ensemble=(str(run),)))
    assert not computed_by_onnx(run, engine="torch")


@pytest.mark.parametrize("precision", ["int8", "bfloat16"])
def test_another_precision_is_that_of_pytorch(run: Path, precision: Any) -> None:
    assert not computed_by_onnx(run, precision=precision)


def test_a_rescorer_is_computed_by_pytorch(run: Path) -> None:
    assert not computed_by_onnx(run, request=SearchRequest(rescore=str(run)))


def test_a_language_model_decides_by_its_kind(run: Path, tmp_path: Path) -> None:
    vocabulary = describe_pretrained(run).vocabulary
    ids = np.array(20 * [*vocabulary.encode("가나다라"), vocabulary.eos_id], np.uint16)
    ngrams, recurrent = tmp_path / "ngrams", tmp_path / "recurrent"
    train_ngram(TextData(vocabulary, ids, ids, {}), NgramOptions(2, (0, 0))).save(ngrams)
    config = RecurrentConfig(hidden_size=8, embedding_size=8, layers=1)
    NetworkModel(RecurrentNetwork(config, vocabulary), vocabulary).save(recurrent, {})
    assert computed_by_onnx(run, request=SearchRequest(lm=(str(ngrams),)))
    request = SearchRequest(lm=(str(ngrams), str(recurrent)))
    recognizer = Recognizer.from_pretrained(run, request=request)
    assert not recognizer.is_onnx
    assert isinstance(recognizer.setup.language_models[1], NetworkModel)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"precision": "int8"}, "the precision int8"),
        ({"request": SearchRequest(rescore="another")}, "--rescore"),
        ({"device": "cuda"}, "the device cuda"),
        ({"engine": "torch"}, "this command"),
    ],
)
def test_what_needs_pytorch_is_said_where_there_is_none(
    run: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], reason: str
) -> None:
    monkeypatch.setattr(model_loading, "find_spec", lambda _: None)
    with pytest.raises(UserError) as error:
        Recognizer.from_pretrained(run, **options)
    told = f"{run} needs PyTorch for {reason}: pip install 'sorigeul[train]'"
    assert str(error.value) == told


@pytest.mark.parametrize(
    ("device", "message"),
    [("cuda", "PyTorch finds no GPU for the device cuda"), ("gpu", "there is no device gpu")],
)
def test_a_device_that_there_is_not_is_refused(run: Path, device: str, message: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(UserError, match=message):
        Recognizer.from_pretrained(run, device=device)


def test_an_engine_that_there_is_not_is_a_fault_of_the_program(run: Path) -> None:
    with pytest.raises(ValueError, match="no engine onnx"):
        Recognizer.from_pretrained(run, engine="onnx")  # type: ignore[arg-type]


def test_an_export_judges_no_texts_of_others(run: Path, tmp_path: Path) -> None:
    export(str(run), tmp_path / "exported")
    request = SearchRequest(rescore=str(tmp_path / "exported"))
    with pytest.raises(UserError, match="--rescore needs PyTorch: give a run rather than"):
        Recognizer.from_pretrained(run, request=request)


def test_a_gpu_has_a_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not may_have_gpu([tmp_path / "none"])
    assert may_have_gpu([tmp_path / "none", tmp_path])
    (tmp_path / "nvidia-smi").touch(0o755)
    assert may_have_gpu([])


def test_where_a_driver_is_pytorch_says_whether_there_is_a_gpu(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver alone is none: the container may not see it, or PyTorch be made for CPUs."""
    monkeypatch.setattr(model_loading, "may_have_gpu", lambda: True)
    assert computed_by_onnx(run)
