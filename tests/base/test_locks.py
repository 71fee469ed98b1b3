"""Locks: one process at a time, shares side by side, a dead holder's lock is taken over."""

import os
import platform
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.full_disk import limited_file_size

from sorigeul.base.errors import UserError
from sorigeul.base.locks import locked_folder


@contextmanager
def process_with_lock(folder: Path, share: str = "", forks: bool = False) -> Iterator[int]:
    """A process that holds a lock until it is killed; it may have forked another that lives on."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        with locked_folder(folder, share):
            child = os.fork() if forks else 0
            if child or not forks:
                os.write(tell, str(child).encode() + b".")
            signal.pause()
        os._exit(0)
    child = int(os.read(ready, 20).rstrip(b"."))
    try:
        yield pid
    finally:
        for process in filter(None, (pid, child)):
            os.kill(process, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)


def test_the_second_is_refused_and_told_who_holds_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with process_with_lock(folder) as pid:
        with pytest.raises(UserError) as error, locked_folder(folder):
            pass
        assert str(error.value).startswith(
            f"{folder} is being written by process {pid} on {platform.node()}: wait"
        )
    with locked_folder(folder):  # whose holder was killed
        assert (folder / ".lock").read_text() == f"process {os.getpid()} on {platform.node()}"
    assert not (folder / ".lock").exists()


def test_a_process_that_the_holder_forked_does_not_keep_the_lock(tmp_path: Path) -> None:
    with process_with_lock(tmp_path, forks=True) as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with locked_folder(tmp_path):
            pass


def test_shares_go_side_by_side_but_not_beside_the_whole(tmp_path: Path) -> None:
    with process_with_lock(tmp_path, "1/2") as pid:
        with locked_folder(tmp_path, "2/2"):
            pass
        for share in ("1/2", ""):
            with (
                pytest.raises(UserError, match=f"process {pid} on"),
                locked_folder(tmp_path, share),
            ):
                pass
    with (
        process_with_lock(tmp_path) as pid,
        pytest.raises(UserError, match=f"process {pid} on"),
        locked_folder(tmp_path, "1/2"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]  # of the process just killed


def test_a_folder_is_made_and_remains_only_if_something_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with locked_folder(folder):
        assert folder.is_dir()
    assert not (tmp_path / "a").exists()
    with locked_folder(folder):
        (folder / "kept").touch()
    assert [path.name for path in folder.iterdir()] == ["kept"]


def test_a_full_disk_does_not_hide_behind_the_lock(tmp_path: Path) -> None:
    with limited_file_size(0), locked_folder(tmp_path):  # what is written next names its file
        assert (tmp_path / ".lock").read_text() == ""
        with (
            pytest.raises(UserError, match="is being written by another process: wait"),
            locked_folder(tmp_path),
        ):
            pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file") as error, locked_folder(tmp_path / "file"):
        pass
    assert isinstance(error.value, FileExistsError | NotADirectoryError)
