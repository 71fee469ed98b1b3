"""glibc malloc settings under which a process keeps the memory it frees."""

import ctypes
import os
import sys

HUGE_PAGES_VARIABLE = "THP_MEM_ALLOC_ENABLE"
"""environment variable that makes PyTorch allocate in transparent huge pages of 2 MiB"""

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # from glibc's <malloc.h>


def keep_freed_memory() -> bool:
    """Make this process reuse the memory it frees; return whether glibc accepted the settings.

    By default glibc returns every large block to the kernel as soon as it is freed. The next
    training step requests it again, and the kernel clears gigabytes page by page. Useful for
    commands that work in many steps of similar size, on Linux with glibc. Call it before PyTorch is
    imported: it also turns on pages of 2 MiB, a setting that PyTorch reads only once.
    """
    os.environ.setdefault(HUGE_PAGES_VARIABLE, "1")
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # a C library other than glibc
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
