"""Files: written as a whole or not at all; read only if they are regular files."""

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sorigeul.base.errors import UserError

_LONGEST_PREFIX = 32  # characters


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a temporary file that replaces ``path`` when the block ends.

    The temporary file lies in the same folder as ``path``; that folder is created if it is missing.
    If the block raises, or the disk is full, the temporary file is removed and ``path`` stays as it
    was. An OSError of the write carries ``path`` as its file name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept, since some writers choose their format by it. A long name is shortened:
    # with what is added to it, it could be longer than the file system allows.
    prefix = f".{path.stem[:_LONGEST_PREFIX]}."
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=path.suffix)
    except OSError as error:
        error.filename = str(path)
        raise
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 would keep group and others from reading
        temporary.replace(path)
    except OSError as error:
        # The error of a failed write names no file, or the temporary one, which the user never saw.
        if error.errno and error.filename in (None, name, temporary):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let an OSError in the block carry ``path`` if it names no file, as that of a write does."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = str(path)
        raise


def check_regular(path: str | os.PathLike[str], name: str = "") -> os.stat_result:
    """Return the status of a file; raise UserError if what is at ``path`` is no regular file.

    Reading a pipe, a socket or a device could wait for ever, or never end. Messages call it
    ``name``. Raises OSError if there is nothing.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), "a device")
        raise UserError(f"{name or path}: is {kind}; give a regular file")
    return status


def given_twice(paths: Iterable[str | os.PathLike[str]]) -> str | os.PathLike[str] | None:
    """The first of the paths that leads to where one before it leads; links are followed."""
    seen: set[str] = set()
    for path in paths:
        place = os.path.realpath(path)
        if place in seen:
            return path
        seen.add(place)
    return None


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)
