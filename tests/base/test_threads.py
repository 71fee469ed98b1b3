"""Threads: what the user has set stays, a container's share is kept to, a count is checked."""

import os
from pathlib import Path

import pytest
import torch

import sorigeul
from sorigeul.base.errors import UserError
from sorigeul.base.threads import container_cores, prepare_threads, set_threads, usable_cores


def test_threads_sleep_soon_where_they_wait() -> None:
    environment: dict[str, str] = {}
    prepare_threads(environment)
    assert 0 < int(environment["GOMP_SPINCOUNT"]) < 100_000
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert sorigeul.__name__ == "sorigeul"  # whose import has done so here
    assert {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ)


@pytest.mark.parametrize("setting", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_how_the_user_lets_threads_wait_stays(setting: str) -> None:
    own = {setting: "any", "OMP_NUM_THREADS": "7", "OPENBLAS_NUM_THREADS": "3"}
    environment = dict(own)
    prepare_threads(environment)
    assert environment == own


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "what is this"}, None),
        ({"cpu.max": "1 0"}, None),
        ({}, None),
    ],
)
def test_a_container_has_the_cores_that_its_control_group_says(
    tmp_path: Path, files: dict[str, str], cores: int | None
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert container_cores(tmp_path) == cores


def test_the_cores_of_a_process_are_counted() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_as_many_threads_as_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    set_threads("01")
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("count", ["", "0", "-1", "two", "1.5", "²", "1000000", "9" * 5000])
def test_a_count_that_no_machine_has_is_refused(count: str) -> None:
    before = os.environ.get("OMP_NUM_THREADS")
    with pytest.raises(UserError, match=r"^threads is '.*', but must be a number from 1 to \d+$"):
        set_threads(count)
    assert os.environ.get("OMP_NUM_THREADS") == before
