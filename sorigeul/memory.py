"""What the C library does with freed memory. Knows nothing of what it is used for."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of <malloc.h>


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees, to use it again; true where that is possible.

    glibc hands every large block back to the kernel as soon as it is free, and the next step of a
    training asks for it anew: the kernel then clears hundreds of megabytes, page by page. Only for
    processes that work in steps of about one size, on Linux with glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
