"""What every try of bad input is held to: it never takes more than 2 GB of memory."""

import contextlib
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

_MOST_KIB = 2_000_000_000 // 1024
_PROCESS = Path("/proc/self")


@pytest.fixture(autouse=True)
def _bounded_memory() -> Iterator[None]:
    """Fail a test whose process, or a process that it started and waited for, held more."""
    with contextlib.suppress(OSError):  # then the peak of the tests before counts as well
        (_PROCESS / "clear_refs").write_text("5")  # the peak begins again at what is held now
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    yield
    peak = re.search(r"VmHWM:\s+(\d+) kB", (_PROCESS / "status").read_text())
    assert peak
    assert int(peak[1]) <= _MOST_KIB
    most_of_children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert most_of_children == children or most_of_children <= _MOST_KIB
