"""Freed memory stays with a process that asks for it."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from sorigeul.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
import torch

for _ in range(3):
    torch.ones(40_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(40_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone is told")
def test_kept_memory_is_not_cleared_again() -> None:
    def page_faults(how: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True
        )
        return int(done.stdout)

    assert page_faults("keep") * 20 < page_faults("leave")
