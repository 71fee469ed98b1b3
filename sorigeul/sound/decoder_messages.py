"""Keeps what decoders themselves print of a damaged recording off the standard streams."""

import ctypes
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

# libmpg123 prints to standard error, and libsndfile's reader of SDS to standard output.
_MESSAGE = re.compile(
    rb"^\n?(?:\[src/libmpg123/|Note: |Warning: |Error [1A] : [0-9A-F]{2}$).*\n", re.MULTILINE
)
_STREAMS = (1, 2)
_lock = threading.Lock()


@contextmanager
def without_decoder_messages() -> Iterator[None]:
    """Drop the lines that decoders print during a block.

    What another thread prints meanwhile is printed after the block. Blocks of several threads wait
    for each other, so they are to be short.
    """
    with _lock, TemporaryFile() as out, TemporaryFile() as err:
        try:
            saved = [os.dup(number) for number in _STREAMS]
        except OSError:  # closed: nothing can be printed
            yield
            return
        _flush_c_streams()
        for number, file in zip(_STREAMS, (out, err), strict=True):
            os.dup2(file.fileno(), number)
        try:
            yield
        finally:
            _flush_c_streams()
            for number, handle, file in zip(_STREAMS, saved, (out, err), strict=True):
                os.dup2(handle, number)
                os.close(handle)
                file.seek(0)
                if others := _MESSAGE.sub(b"", file.read()):
                    os.write(number, others)


def _flush_c_streams() -> None:
    """Write what C code has printed so far, which is not in Python's own buffers."""
    if sys.platform != "win32":
        ctypes.CDLL(None).fflush(None)
