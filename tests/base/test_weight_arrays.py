"""Arrays in safetensors files: as the format's own library reads them, and never damaged ones."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from sorigeul.base.errors import UserError
from sorigeul.base.weight_arrays import read_arrays

ARRAYS = {
    "matrix": np.arange(12, dtype=np.float32).reshape(3, 4),
    "bytes": np.array([1, 2, 255], np.uint8),
    "long": np.array([-(2**60), 5]),
    "half": np.array([0.5, 2.0], np.float16),
    "none": np.zeros((0, 3), np.uint16),
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arrays") / "model.safetensors"
    save_file(ARRAYS, path, {"note": "of a test"})
    return path


def test_arrays_are_those_that_were_written(path: Path) -> None:
    found, metadata = read_arrays(path)
    assert metadata == {"note": "of a test"}
    assert found.keys() == load_file(path).keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_a_change_stays_in_memory(path: Path) -> None:
    read_arrays(path)[0]["matrix"][0, 0] = 7
    assert read_arrays(path)[0]["matrix"][0, 0] == 0


@given(st.data())
def test_a_file_that_is_cut_off_or_changed_is_an_error_of_the_user_or_still_arrays(
    path: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = bytearray(path.read_bytes())
    size = data.draw(st.integers(0, len(whole)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] = data.draw(st.integers(0, 255))
    damaged = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    damaged.write_bytes(whole[:size])
    with suppress(UserError):
        assert all(isinstance(array, np.ndarray) for array in read_arrays(damaged)[0].values())


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [-1]},
        {"data_offsets": [0, 4]},
        {"shape": [1], "data_offsets": [4, 8]},
    ],
)
def test_arrays_that_do_not_fill_the_file_are_refused(
    tmp_path: Path, change: dict[str, list[int]]
) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **change}})
    content = len(header).to_bytes(8, "little") + header.encode() + bytes(8)
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        read_arrays(tmp_path / "w")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    save_file({"weights": np.array([1.0, np.nan], np.float32)}, tmp_path / "bad")
    with pytest.raises(UserError, match="weights has values that are not finite"):
        read_arrays(tmp_path / "bad")
    with pytest.raises(UserError, match="is missing"):
        read_arrays(tmp_path / "nothing")
