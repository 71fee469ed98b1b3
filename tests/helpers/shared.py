"""Things that the processes of one test run make once and share, such as a trained model."""

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(
    factory: pytest.TempPathFactory, worker: str, name: str, make: Callable[[Path], None]
) -> Path:
    """A folder that `make` fills, in whichever process of the test run comes first.

    `worker` is the fixture `worker_id`: with pytest-xdist each process has a folder of its own
    below that of the run.
    """
    base = factory.getbasetemp()
    base = base if worker == "master" else base.parent
    folder, done = base / name, base / f"{name}.done"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
