"""Opens a recording given as a path, bytes or a file object, and defines the error of a bad one.

Knows bytes only, no formats. A pipe is never read further than the decoder asks.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from io import SEEK_CUR, SEEK_END, SEEK_SET, BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from typing import BinaryIO, TypeVar, cast

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular
from sorigeul.base.printable import printable
from sorigeul.base.ranges import SAMPLING_RATE
from sorigeul.base.stopping import stop_signals_wait

HEAD_SIZE = 4096
"""bytes that are looked at to tell the format"""
_COPY_IN_MEMORY = 2**24  # bytes; a longer copy of a pipe goes to disk
LONGEST_COPY = 2**32
"""bytes of a pipe that are copied; most streams that are longer never end"""
# Lossy formats store whole frames, so a file may be this many seconds shorter than its header says.
_DURATION_TOLERANCE = 0.1

Source = str | Path | bytes | BinaryIO


Block = TypeVar("Block")


class AudioError(UserError):
    """A recording that cannot be used. The message starts with the file's name."""


class _Input:
    """Bytes for a decoder.

    Decoders call back for them from C, where nothing can be raised. So a read that fails is kept in
    ``failure`` and looks like the end of the file.
    """

    failure: OSError | KeyboardInterrupt | None = None
    kept: tuple[type[OSError | KeyboardInterrupt], ...] = (OSError,)
    """what is kept"""

    def calling(self) -> AbstractContextManager[None]:
        """Context for a call of a decoder, which calls back for bytes."""
        return nullcontext()

    def _kept(self, read: Callable[[int], bytes], size: int) -> bytes:
        if self.failure is not None:
            return b""
        try:
            return read(size)
        except self.kept as error:
            self.failure = error
            return b""

    def decoded(self, blocks: Iterable[Block], name: str) -> Iterator[Block]:
        """Pass on what a decoder makes of the bytes, then `check`."""
        remaining = iter(blocks)
        try:
            while True:
                with self.calling():
                    block = next(remaining, None)
                if block is None:
                    break
                yield block
        except AudioError:
            self.check(name)
            raise
        self.check(name)

    def check(self, name: str) -> None:
        """Raise AudioError if a read has failed, or what interrupted it."""
        if isinstance(self.failure, KeyboardInterrupt):
            raise self.failure
        if self.failure is not None:
            raise AudioError(
                f"{name}: cannot be read to its end ({self.failure.strerror}); check the disk, or "
                "copy it again"
            ) from self.failure


class InputFile(_Input):
    """A file that can seek, as long as it was when it was opened: what is added later is not read.

    ``name`` is a hint for libav. A position that cannot be is refused by -1, not by an exception.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.name = str(getattr(file, "name", ""))
        self._file = file
        file.seek(0, SEEK_END)  # the file objects of some web frameworks return nothing
        self.size, self._position = file.tell(), 0
        file.seek(0)

    def calling(self) -> AbstractContextManager[None]:
        """As `_Input.calling`: signals wait until it returns, which is soon."""
        return stop_signals_wait()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, all by default."""
        left = max(self.size - self._position, 0)
        data = self._kept(self._file.read, left if size < 0 else min(size, left))
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Go to a position, and return it."""
        target = offset + {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self.size}[whence]
        if target < 0:
            return -1
        self._file.seek(min(target, self.size))  # a damaged header may ask for any
        self._position = target
        return target

    def tell(self) -> int:
        """Return the position."""
        return self._position


class Pipe(_Input):
    """A file object that cannot seek. Its first bytes can be looked at before they are read.

    A read may wait for long, and signals cannot wait for it: what they raise is kept.
    """

    kept = (OSError, KeyboardInterrupt)

    def __init__(self, file: BinaryIO) -> None:
        # `read` waits until all bytes have come, `read1` only until some have.
        self._source_read = getattr(file, "read1", file.read)
        self._ahead = b""

    def _read(self, size: int) -> bytes:
        return self._kept(self._source_read, size)

    def peek(self, size: int) -> bytes:
        """Return the next bytes, fewer than ``size`` only at the end, and leave them in place."""
        while len(self._ahead) < size and (more := self._read(size - len(self._ahead))):
            self._ahead += more
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, as soon as there are any; none at the end."""
        if not self._ahead:
            return self._read(size)
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken


def display_name(source: Source, name: str | None) -> str:
    """How messages call the recording."""
    if name is None:
        path = source if isinstance(source, str | Path) else getattr(source, "name", None)
        name = str(path) if isinstance(path, str | Path) else "recording"
    # It may contain line breaks, but a message is one line.
    return printable(name)


@contextmanager
def open_source(source: Source, name: str) -> Iterator[InputFile | Pipe]:
    """Open ``source``: a seekable file at its start, or a `Pipe`.

    Raises AudioError, also in place of one that the block raises because a read has failed, and if
    the memory runs out in the block.
    """
    with ExitStack() as stack:
        if isinstance(source, str | Path):
            file: BinaryIO = stack.enter_context(_open_regular(source, name))
        else:
            file = BytesIO(source) if isinstance(source, bytes) else source
        # The file objects of some web frameworks have no `seekable`.
        is_file = getattr(file, "seekable", lambda: False)()
        opened: InputFile | Pipe = InputFile(file) if is_file else Pipe(file)
        try:
            yield opened
        except AudioError:
            opened.check(name)
            raise
        except MemoryError as error:
            raise AudioError(
                f"{name}: the memory of this machine is too small for it; cut it into several files"
            ) from error


def _open_regular(path: str | Path, name: str) -> BinaryIO:
    """Open a file; what would wait for a writer, or never end, is refused."""
    try:
        check_regular(path, name)
        return Path(path).open("rb")
    except UserError as error:
        raise AudioError(str(error)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise AudioError(
            f"{name}: cannot be opened ({reason}); check path and permissions"
        ) from error


def copied(pipe: Pipe, name: str) -> InputFile:
    """Copy what is left of ``pipe`` to a temporary file, which can seek.

    Raises AudioError if it does not end, or if there is no room for it.
    """
    copy = cast(BinaryIO, SpooledTemporaryFile(_COPY_IN_MEMORY))  # noqa: SIM115  closed with it
    size = 0
    while data := pipe.read(2**18):
        size += len(data)
        if size > LONGEST_COPY:
            raise AudioError(
                f"{name}: has not ended after {LONGEST_COPY / 2**30:g} GiB, and its format, if it "
                "is one, is only readable at its end; give a file, or wav, flac, ogg, mp3 or webm"
            )
        try:
            copy.write(data)
        except OSError as error:
            raise AudioError(
                f"{name}: cannot be kept in {gettempdir()} ({error.strerror}); make room there, "
                "set TMPDIR to a folder with more, or give a file"
            ) from error
    pipe.check(name)
    return InputFile(copy)


def first_bytes(file: InputFile | Pipe) -> bytes:
    """Return the first `HEAD_SIZE` bytes; the file is at its start again afterwards."""
    if isinstance(file, Pipe):
        return file.peek(HEAD_SIZE)
    file.seek(0)
    head = file.read(HEAD_SIZE)
    file.seek(0)
    return head


def damaged(name: str, reason: str) -> AudioError:
    """Return the error of a recording that is not as it was written."""
    return AudioError(f"{name}: cut short or damaged: {reason}; copy, download or record it again")


def checked_rate(rate: int, name: str) -> int:
    """Return a sampling rate in Hz; refuse one that no recording has."""
    if rate not in SAMPLING_RATE:
        raise damaged(name, f"its header claims a sampling rate of {rate} Hz")
    return rate


def check_duration(declared: float, actual: float, name: str) -> None:
    """Refuse a recording that is shorter than its header declares; both in seconds."""
    if declared - actual > _DURATION_TOLERANCE:
        raise damaged(name, f"it promises {declared:.2f} s and has {actual:.2f} s")
