"""The memory that is left: of the machine, or of a container's share."""

from pathlib import Path

import pytest

from sorigeul.base.capacity import free_gib, machine_gib

_MEMINFO = "MemTotal:       25165824 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n"


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [("max", "0", 8.0), (4 * 2**30, 3 * 2**30, 1.0), (64 * 2**30, 2**30, 8.0), (None, None, 8.0)],
)
def test_the_share_of_a_container_counts_if_it_is_smaller(
    tmp_path: Path, limit: object, used: object, expected: float
) -> None:
    (tmp_path / "meminfo").write_text(_MEMINFO)
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{used}\n")
    assert free_gib(tmp_path / "meminfo", tmp_path) == expected


def test_a_system_that_does_not_tell_is_no_trouble(tmp_path: Path) -> None:
    assert free_gib(tmp_path / "none", tmp_path) is None


def test_no_more_is_free_than_there_is() -> None:
    free, total = free_gib(), machine_gib()
    assert free is None or total is None or 0 < free <= total
