"""Locks on folders and files, so that two commands do not write over each other.

A lock is the system's own (flock), so it ends with its holder, however that ends. The lock file
only names the holder for whoever finds it locked, and is removed with the lock.
"""

import fcntl
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sorigeul.base.errors import UserError

log = logging.getLogger(__name__)

_NAME = ".lock"
_held: set[int] = set()


def _close_in_child() -> None:
    """A forked process that outlives the holder would keep the lock."""
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


@contextmanager
def locked_folder(folder: Path, share: str = "") -> Iterator[None]:
    """Hold a folder during a block, or only a `share` of it.

    Processes that hold different shares work side by side, but never beside one that holds the
    folder. A missing folder is created, and removed if nothing has been written into it. Raises
    UserError, with the holder's host and process id, if another process is in the way.
    """
    new_folders = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / _NAME
    own = folder / f"{_NAME}-{share.replace('/', '-of-')}" if share else whole
    try:
        with locked_file(own, folder):
            # The own lock first: of two processes that look for each other at least one refuses.
            for other in [whole] if share else sorted(folder.glob(f"{_NAME}-*")):
                if other.exists():
                    with locked_file(other, folder):
                        pass
            yield
    finally:
        for path in new_folders:
            with suppress(OSError):  # not empty, or removed already
                path.rmdir()


@contextmanager
def locked_file(path: Path, protected: Path) -> Iterator[None]:
    """Hold the lock file `path` during a block; an error says that `protected` is in use."""
    handle = _take(path, protected)
    _held.add(handle)
    try:
        yield
    finally:
        with suppress(OSError):  # somebody has removed the folder
            path.unlink()
        _held.discard(handle)
        os.close(handle)


def _take(path: Path, protected: Path) -> int:
    """Lock the file, and write into it who holds it."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            error.filename = str(protected)  # the user never saw the lock file
            raise
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 1000).decode("utf-8", "replace")
            os.close(handle)
            name = holder if holder.isprintable() and holder else "another process"
            raise UserError(
                f"{protected} is being written by {name}: wait until it has ended, or choose "
                "another place"
            ) from None
        except OSError:
            log.warning(
                "the file system of %s has no locks: see to it that only one process writes there",
                protected,
            )
        if _is_still(path, handle):
            with suppress(OSError):  # on a full disk the lock holds without the name
                os.ftruncate(handle, 0)
                os.write(handle, f"process {os.getpid()} on {platform.node()}".encode())
            return handle
        os.close(handle)  # its holder removed it when it ended, just before it was locked here


def _is_still(path: Path, handle: int) -> bool:
    """Whether the path still leads to the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
