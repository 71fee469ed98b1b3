"""What glibc's malloc does with memory that a process has freed: keep it, or give it back."""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HUGE_PAGES_VARIABLE = "THP_MEM_ALLOC_ENABLE"
"""environment variable that makes PyTorch allocate in transparent huge pages of 2 MiB"""

PRIMITIVES_VARIABLE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
"""environment variable for how many compiled operations oneDNN keeps, each with its buffers"""
_PRIMITIVES = "64"  # those of a step; of 1,024, as it is by default, most are for shapes long gone

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # from glibc's <malloc.h>
_LARGE_BLOCK = 4 * 2**20
_MANY_BLOCKS = 2**16  # as many as glibc allows by default

_MUCH = 1.5 * 2**30

_keeps_freed_memory = False


def keep_freed_memory() -> bool:
    """Make this process reuse the memory it frees; return whether glibc accepted the settings.

    By default glibc returns every large block to the kernel as soon as it is freed. The next
    training step requests it again, and the kernel clears gigabytes page by page. Useful for
    commands that work in many steps of similar size, on Linux with glibc. Call it before PyTorch is
    imported: it also turns on pages of 2 MiB, and bounds what oneDNN keeps for shapes that it has
    seen, settings that are read only once.
    """
    os.environ.setdefault(HUGE_PAGES_VARIABLE, "1")
    os.environ.setdefault(PRIMITIVES_VARIABLE, _PRIMITIVES)
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    global _keeps_freed_memory
    _keeps_freed_memory = bool(
        mallopt(_M_MMAP_MAX, 0)
        and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        and mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)
    )
    return _keeps_freed_memory


@contextmanager
def return_large_blocks() -> Iterator[None]:
    """Context in which blocks of 4 MiB and more go back to the kernel as soon as they are freed.

    For a step that is far larger than the others, of a process that keeps freed memory. What such
    a step frees is of no use to them, and among the blocks that are kept it would find no room.
    """
    mallopt = _of_glibc("mallopt") if _keeps_freed_memory else None
    if mallopt is None:
        yield
        return
    return_freed_memory()
    mallopt(_M_MMAP_MAX, _MANY_BLOCKS)
    try:
        yield
    finally:
        mallopt(_M_MMAP_MAX, 0)


def return_freed_memory() -> bool:
    """Give the kernel what is free between the blocks in use; return whether there was any.

    glibc itself gives back only what lies above the highest block. A process that works for hours
    on inputs of ever other sizes would hold ever more. It takes some milliseconds.
    """
    malloc_trim = _of_glibc("malloc_trim")
    return malloc_trim is not None and bool(malloc_trim(0))


class FreedMemory:
    """What a process that works in steps of ever other sizes has freed, and keeps.

    It leaves holes, which add up. Given back after every step, it would be missing in the next one.
    """

    def __init__(self, seconds: float) -> None:
        """Give it back after so many seconds, or as soon as the process has grown by 1.5 GiB."""
        self._seconds = seconds
        self._note()

    def give_back_in_time(self) -> None:
        """After a step: give it back if it is time."""
        old = time.monotonic() - self._since > self._seconds
        if old or _resident_bytes() - self._held > _MUCH:
            return_freed_memory()
            self._note()

    def _note(self) -> None:
        self._since, self._held = time.monotonic(), _resident_bytes()


def _resident_bytes() -> int:
    """Memory that this process holds; 0 where the system does not say."""
    try:
        with open("/proc/self/statm") as numbers:
            return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of glibc; None with another C library."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError):
        return None
    return function
