"""A process that keeps freed memory causes far fewer page faults."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from sorigeul.base.memory import keep_freed_memory

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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the settings are those of glibc")
def test_kept_memory_is_reused_without_page_faults() -> None:
    def page_faults(mode: str) -> int:
        completed = subprocess.run(
            [sys.executable, "-c", PROGRAM, mode], check=True, capture_output=True, text=True
        )
        return int(completed.stdout)

    assert page_faults("keep") * 20 < page_faults("default")
