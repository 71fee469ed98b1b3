"""Weights in a file: the same bytes each time, finite, read only as what they are."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sorigeul.base.errors import UserError
from sorigeul.base.weight_arrays import read_arrays
from sorigeul.base.weights import not_finite, read_weights, write_weights


def test_what_was_written_is_read(tmp_path: Path) -> None:
    weights = {"a": torch.randn(3, 2), "b": torch.arange(4)}
    write_weights(tmp_path / "w", weights, {"epoch": "3", "crr": "50.00"})
    read, metadata = read_weights(tmp_path / "w")
    assert {name: tensor.tolist() for name, tensor in read.items()} == {
        name: tensor.tolist() for name, tensor in weights.items()
    }
    assert metadata == {"epoch": "3", "crr": "50.00"}


def test_metadata_of_older_models_are_read(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "w", {"epoch": "3", "crr": "50.00"})
    assert read_weights(tmp_path / "w")[1] == {"epoch": "3", "crr": "50.00"}


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_values_that_are_not_finite_are_neither_written_nor_read(
    tmp_path: Path, value: float, dtype: torch.dtype
) -> None:
    weights = {"count": torch.tensor(7), "none": torch.zeros(0), "w": torch.zeros(5, dtype=dtype)}
    assert not_finite(weights) is None
    weights["w"][2] = value
    with pytest.raises(UserError, match="is not written, since w has values"):
        write_weights(tmp_path / "w", weights)
    assert not list(tmp_path.iterdir())
    save_file(weights, tmp_path / "w")
    with pytest.raises(UserError, match="its w has values that are not finite"):
        read_weights(tmp_path / "w")


def test_a_single_bit_that_has_changed_is_noticed(tmp_path: Path) -> None:
    weights = {
        "a": torch.randn(50),
        "b": torch.randn(9, 3).to(torch.bfloat16),
        "c": torch.tensor(2),
    }
    write_weights(tmp_path / "w", weights)
    whole = (tmp_path / "w").read_bytes()
    numbers = 4 * 50 + 2 * 27 + 8
    for place in range(len(whole) - numbers, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 1
        (tmp_path / "w").write_bytes(changed)
        with pytest.raises(
            UserError, match=r"is damaged \(its checksum is another\): copy it again"
        ):
            read_weights(tmp_path / "w")
    assert len(read_arrays_of(tmp_path, weights)) == 3


def read_arrays_of(folder: Path, weights: dict[str, torch.Tensor]) -> dict[str, object]:
    """What the reader without PyTorch finds, which checks as well."""
    write_weights(folder / "w", weights)
    found, _ = read_arrays(folder / "w")
    assert found["b"].tolist() == weights["b"].float().tolist()
    whole = bytearray((folder / "w").read_bytes())
    whole[-20] ^= 1
    (folder / "w").write_bytes(whole)
    with pytest.raises(UserError, match="its checksum is another"):
        read_arrays(folder / "w")
    return dict(found)


@pytest.mark.parametrize("metadata", ["[]", "{", '{"a": 1}', "[" * 10**5])
def test_damaged_metadata_are_refused(tmp_path: Path, metadata: str) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "w", {"sorigeul": metadata})
    with pytest.raises(UserError, match=r"w is damaged \(") as error:
        read_weights(tmp_path / "w")
    assert "\n" not in str(error.value)


def test_a_header_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    end = 4 * 10**12
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, end]}})
    (tmp_path / "w").write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(16))
    with pytest.raises(UserError, match="is damaged"):
        read_weights(tmp_path / "w")
