"""Opens a recording given as a path, bytes or a file object, and defines the error of a bad one.

Knows bytes only, no formats. A pipe is never read further than the decoder asks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from sorigeul.base.errors import UserError

HEAD_SIZE = 4096
"""bytes that are looked at to tell the format"""
_COPY_IN_MEMORY = 2**24  # bytes; a longer copy of a pipe goes to disk
_PLAUSIBLE_RATES = range(1_000, 1_000_001)  # Hz; a header that claims another one is damaged
# Lossy formats store whole frames, so a file may be this many seconds shorter than its header says.
_DURATION_TOLERANCE = 0.1

Source = str | Path | bytes | BinaryIO


class AudioError(UserError):
    """A recording that cannot be used. The message starts with the file's name."""


class Pipe:
    """A file object that cannot seek. Its first bytes can be looked at before they are read."""

    def __init__(self, file: BinaryIO) -> None:
        # `read` waits until all bytes have come, `read1` only until some have.
        self._read = getattr(file, "read1", file.read)
        self._ahead = b""

    def peek(self, size: int) -> bytes:
        """Return the next bytes, fewer than ``size`` only at the end, and leave them in place."""
        while len(self._ahead) < size and (more := self._read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, as soon as there are any; none at the end."""
        if not self._ahead:
            return cast(bytes, self._read(size))
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken


def display_name(source: Source, name: str | None) -> str:
    """How messages call the recording."""
    if name is None:
        path = source if isinstance(source, str | Path) else getattr(source, "name", None)
        name = str(path) if isinstance(path, str | Path) else "recording"
    # The name of an upload may contain line breaks, but a message is one line.
    return " ".join(name.splitlines())


@contextmanager
def open_source(source: Source, name: str) -> Iterator[BinaryIO | Pipe]:
    """Open ``source``: a seekable file at its start, or a `Pipe`."""
    if isinstance(source, bytes):
        yield BytesIO(source)
    elif not isinstance(source, str | Path):
        yield _as_file_or_pipe(source)
    else:
        try:
            file = Path(source).open("rb")  # noqa: SIM115  closed below
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = error.strerror if isinstance(error, OSError) else error
            raise AudioError(
                f"{name}: cannot be opened ({reason}); check path and permissions"
            ) from error
        with file:
            yield _as_file_or_pipe(file)


def _as_file_or_pipe(file: BinaryIO) -> BinaryIO | Pipe:
    # The file objects of some web frameworks have no `seekable`.
    if not getattr(file, "seekable", lambda: False)():
        return Pipe(file)
    return file if file.tell() == 0 else copied(file)


def copied(file: BinaryIO | Pipe) -> BinaryIO:
    """Copy what is left of ``file`` to a temporary file, which can seek."""
    copy = cast(BinaryIO, SpooledTemporaryFile(_COPY_IN_MEMORY))  # noqa: SIM115  closed with it
    while data := file.read(2**18):
        copy.write(data)
    copy.seek(0)
    return copy


def first_bytes(file: BinaryIO | Pipe) -> bytes:
    """Return the first `HEAD_SIZE` bytes; the file is at its start again afterwards."""
    if isinstance(file, Pipe):
        return file.peek(HEAD_SIZE)
    file.seek(0)
    head = file.read(HEAD_SIZE)
    file.seek(0)
    return head


def size_of(file: BinaryIO) -> int:
    """Return the size in bytes; leaves the file at its end."""
    return file.seek(0, SEEK_END)


def damaged(name: str, reason: str) -> AudioError:
    """Return the error of a recording that is not as it was written."""
    return AudioError(f"{name}: cut short or damaged: {reason}; copy, download or record it again")


def checked_rate(rate: int, name: str) -> int:
    """Return a sampling rate in Hz; refuse one that no recording has."""
    if rate not in _PLAUSIBLE_RATES:
        raise damaged(name, f"its header claims a sampling rate of {rate} Hz")
    return rate


def check_duration(declared: float, actual: float, name: str) -> None:
    """Refuse a recording that is shorter than its header declares; both in seconds."""
    if declared - actual > _DURATION_TOLERANCE:
        raise damaged(name, f"it promises {declared:.2f} s and has {actual:.2f} s")
