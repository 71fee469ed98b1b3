"""What this machine has, found out without loading PyTorch: memory for processes, a GPU."""

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.threads import usable_cores

_GPU_DRIVERS = tuple(map(Path, ("/proc/driver/nvidia", "/dev/nvhost-gpu", "/dev/dxg", "/dev/kfd")))
"""with an NVIDIA GPU, on a Jetson, with a GPU of the Windows around a Linux, and with one of AMD"""
_PROCESS_GIB = 0.25  # of a process that decodes recordings, with the libraries it has loaded


def refuse_too_many_processes(setting: str, count: int) -> None:
    """Raise UserError if so many processes cannot be in memory together."""
    memory = machine_gib()
    if memory is not None and count * _PROCESS_GIB > memory:
        raise UserError(
            f"{setting} is {count:,}, but so many processes would take about "
            f"{count * _PROCESS_GIB:,.0f} GiB of memory, and this machine has {memory:,.0f}: give "
            f"at most {int(memory / _PROCESS_GIB)}"
        )


def processes(jobs: int) -> int:
    """The number of processes that ``--jobs`` asks for; for 0 it is one a core.

    Raises UserError as `refuse_too_many_processes` does.
    """
    refuse_too_many_processes("jobs", jobs)
    return jobs or usable_cores()


def machine_gib() -> float | None:
    """Memory of the machine in GiB; None if the system does not report it."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def may_have_gpu(drivers: Sequence[Path] = _GPU_DRIVERS) -> bool:
    """Whether there is the driver of a GPU; only PyTorch knows whether it can use one."""
    return any(driver.exists() for driver in drivers) or shutil.which("nvidia-smi") is not None


def free_gib(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """Memory that is free, in GiB, or what is left of a container's share if that is less.

    Of Linux, and of its control groups in version 2. None if the system does not report it.
    """
    free = []
    with suppress(OSError):
        if found := re.search(r"^MemAvailable:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE):
            free.append(int(found[1]) / 2**20)
    with suppress(OSError, ValueError):  # ValueError: "max", which is no limit
        limit, used = ((cgroup / f"memory.{name}").read_text() for name in ("max", "current"))
        free.append((int(limit) - int(used)) / 2**30)
    return min(free, default=None)
