"""The memory of this machine, and how many processes it can hold. Does not load PyTorch."""

import os

from sorigeul.base.errors import UserError

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


def machine_gib() -> float | None:
    """Memory of the machine in GiB; None if the system does not report it."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
