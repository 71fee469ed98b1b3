"""What this process does with memory it frees. Knows nothing of what the memory is used for."""

import ctypes
import os
import sys

MEMORY_SETTING = "THP_MEM_ALLOC_ENABLE"
"""the variable by which PyTorch is told to use pages of 2 MiB"""

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of <malloc.h>


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees, to use it again; true where that is possible.

    glibc hands every large block back to the kernel as soon as it is free, and the next step of a
    training asks for it anew: the kernel then clears gigabytes, page by page. For commands that
    work in many steps of about one size, on Linux with glibc, before they load PyTorch: it is told
    to use pages of 2 MiB, which it looks up once.
    """
    os.environ.setdefault(MEMORY_SETTING, "1")
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
