"""How many threads arithmetic uses, of PyTorch and of NumPy, and how they wait for each other.

Their libraries read it from the environment when they are loaded, so this runs before that, and
child processes inherit it. What the user has set is left alone. Knows nothing of PyTorch.
"""

import math
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

from sorigeul.base.errors import UserError

COUNT = "OMP_NUM_THREADS"
_SPIN = "GOMP_SPINCOUNT"
_WAITING = (_SPIN, "OMP_WAIT_POLICY")
_SPINS = "1000"
"""Loops that a thread waits for the others before it sleeps. Left alone it waits for millions, and
where something else needs its core, the others wait for it as long as that runs: steps take up to
fifteen times longer. Measured in BENCHMARKS.md, "Threads"."""
_OF_NUMPY = "OPENBLAS_NUM_THREADS"
"""NumPy's products are small here: in several threads they take twice as long as in one, most of it
waiting for each other (BENCHMARKS.md, "Threads")."""
_CGROUP = Path("/sys/fs/cgroup")


def prepare_threads(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads sleep soon where they wait, and use no more of them than there are cores.

    Does nothing about what `environment` already says.
    """
    if not any(name in environment for name in _WAITING):
        environment[_SPIN] = _SPINS
    environment.setdefault(_OF_NUMPY, "1")
    share = container_cores()
    # OpenMP knows which cores a process may use, but not how much time of them a container gives.
    if COUNT not in environment and share is not None and share < usable_cores():
        environment[COUNT] = str(share)


def set_threads(count: str) -> None:
    """Use as many threads as the user says. Raises UserError if that is no number of cores."""
    most = os.cpu_count() or 1
    # Compared as a float, since `int` fails on thousands of digits.
    if not (count.isascii() and count.isdigit() and 1 <= float(count) <= most):
        raise UserError(f"threads is '{count}', but must be a number from 1 to {most}")
    use_threads(int(count))


def use_threads(count: int) -> None:
    """Use so many threads, in this process and in those that it starts."""
    os.environ[COUNT] = str(count)
    if "torch" in sys.modules:  # it has read the environment already
        sys.modules["torch"].set_num_threads(count)


def thread_count() -> int:
    """Threads that the arithmetic of the calling thread may use."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    count = os.environ.get(COUNT, "")
    return int(count) if count.isdecimal() and int(count) else usable_cores()


def usable_cores() -> int:
    """Cores on which this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def container_cores(cgroup: Path = _CGROUP) -> int | None:
    """Cores whose time the container may use, rounded up; None if there is no limit.

    Of Linux' control groups, version 2 (`cpu.max`) and 1 (`cpu/cpu.cfs_quota_us`).
    """
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu/cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text()
        except OSError:
            return None
    try:
        return max(math.ceil(int(quota) / int(period)), 1) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):  # "max": no limit
        return None
