"""Memory that is freed: kept it causes far fewer page faults, returned it is the kernel's again."""

import os
import subprocess
import sys

import pytest

from sorigeul.base.memory import PRIMITIVES_VARIABLE

only_glibc = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the settings are those of glibc"
)
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


@only_glibc
def test_kept_memory_is_reused_without_page_faults() -> None:
    def page_faults(mode: str) -> int:
        completed = subprocess.run(
            [sys.executable, "-c", PROGRAM, mode], check=True, capture_output=True, text=True
        )
        return int(completed.stdout)

    assert page_faults("keep") * 20 < page_faults("default")


@only_glibc
@pytest.mark.parametrize(("own", "expected"), [("", "64"), ("7", "7")])
def test_what_onednn_keeps_is_bounded_unless_the_user_says_how(own: str, expected: str) -> None:
    program = (
        "import os; from sorigeul.base.memory import PRIMITIVES_VARIABLE, keep_freed_memory; "
        "keep_freed_memory(); print(os.environ[PRIMITIVES_VARIABLE])"
    )
    others = {name: value for name, value in os.environ.items() if name != PRIMITIVES_VARIABLE}
    environment = {**others, **({PRIMITIVES_VARIABLE: own} if own else {})}
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.stdout.strip() == expected


HOLES = """
from pathlib import Path
from sorigeul.base.memory import return_freed_memory

def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1])

blocks = [bytearray(60_000) for _ in range(4000)]  # too small for glibc to map each by itself
full = resident()
del blocks[:-1]
kept = resident()
assert return_freed_memory()
print(full, kept, resident())
"""


@only_glibc
def test_memory_below_a_block_in_use_is_returned() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], check=True, capture_output=True, text=True)
    full, kept, returned = map(int, done.stdout.split())
    assert kept > 0.9 * full
    assert returned < 0.3 * full


@only_glibc
def test_freed_memory_is_given_back_once_it_is_much() -> None:
    """Long before it is old; what is little stays for the next step."""
    program = """
from sorigeul.base import memory

assert memory.keep_freed_memory()
import torch

memory._MUCH = 200 * 2**20
freed = memory.FreedMemory(seconds=3600)
held = []
for elements in (5_000_000, 100_000_000):
    torch.ones(elements)
    freed.give_back_in_time()
    held.append((memory._resident_bytes() - freed._held) // 2**20)
freed = memory.FreedMemory(seconds=0)
torch.ones(5_000_000)
freed.give_back_in_time()
print(*held, (memory._resident_bytes() - freed._held) // 2**20)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    little, much, old = map(int, done.stdout.split())
    assert little >= 18
    assert much < 5
    assert old < 5


@only_glibc
def test_a_large_step_leaves_nothing_behind() -> None:
    """What it frees is the kernel's at once; a step of the usual size keeps its memory."""
    program = """
from sorigeul.base.memory import keep_freed_memory, return_large_blocks

assert keep_freed_memory()
import torch

def resident():
    lines = open("/proc/self/status").readlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))

def step():
    blocks = [torch.ones(25_000_000) for _ in range(4)]

torch.ones(1)
before = resident()
with return_large_blocks():
    step()
    inside = resident()
step()
print(inside - before, resident() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    inside, after = map(int, done.stdout.split())
    assert inside < 50
    assert after > 300


@only_glibc
def test_large_blocks_are_left_alone_where_freed_memory_is_not_kept() -> None:
    """The process of a user of the Python API keeps its own settings."""
    program = PROGRAM.replace(
        "import torch",
        "import torch\nfrom sorigeul.base.memory import return_large_blocks\n"
        "with return_large_blocks():\n    torch.ones(40_000_000)",
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "default"], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) > 1000
