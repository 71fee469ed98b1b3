"""Standard output and standard error that may be closed, gone, or unable to show Hangul."""

import codecs
import io
import os
import stat
import sys
from contextlib import suppress


def prepare_streams() -> None:
    """Make the standard streams usable, whatever this process was started with.

    A stream that is closed becomes ``/dev/null``: otherwise the next file that is opened would get
    its number, and be written to by what prints. Where the encoding is ASCII (``LANG=C``), text is
    printed as UTF-8; a character that another encoding lacks is printed as its escape.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if _is_closed(number):
            _open_null(number)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if ascii_only else None, errors="backslashreplace")


def print_line(line: str) -> None:
    """Print a line of progress at once; if nobody can read it any more, the work goes on."""
    try:
        print(line, flush=True)
    except OSError:  # a pipe whose reader has ended (`| head`), or a terminal that was closed
        _open_null(sys.stdout.fileno())
        with suppress(OSError):
            sys.stdout.flush()  # what could not be written is still in the buffer


def abandon_terminal() -> None:
    """Write to the terminal no more: it was closed, and each further write would be an error."""
    for number in (1, 2):
        # Not isatty, which is false once the terminal is gone.
        if stat.S_ISCHR(os.fstat(number).st_mode):
            _open_null(number)


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return True
    return False


def _open_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
