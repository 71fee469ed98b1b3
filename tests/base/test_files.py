"""Atomic writing: after a failure the old file is intact and no temporary file is left."""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sorigeul.base.files import replacing, write_text


@contextmanager
def limited_file_size(size: int) -> Iterator[None]:
    """Let no file grow beyond ``size`` bytes, so that writing fails as on a full disk."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_text_is_written_as_utf_8_and_replaces_longer_text(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "소리글\n")
    assert (tmp_path / "a.txt").read_bytes() == "소리글\n".encode()
    write_text(str(tmp_path / "a.txt"), "더 짧게")
    assert (tmp_path / "a.txt").read_bytes() == "더 짧게".encode()


def test_missing_folders_are_created(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["c.txt"]


def test_the_old_file_stays_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
        assert temporary.parent == path.parent  # a rename across disks would not be atomic
        assert temporary.suffix == ".txt"
    assert path.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("before", ["old", None])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_a_failure_midway_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, before: str | None, error: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    if before is not None:
        write_text(path, before)

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise error("midway")

    with pytest.raises(error, match="midway"):
        write_half()
    contents = {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()}
    assert contents == ({} if before is None else {"a.txt": before})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource limits")
def test_a_full_disk_is_reported_with_the_path_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with limited_file_size(1000), pytest.raises(OSError, match=r"a\.txt") as error:
        write_text(path, "new" * 1000)
    assert error.value.errno == errno.EFBIG
    assert error.value.filename == str(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_about_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error, replacing(tmp_path / "a.txt"):
        (tmp_path / "source.txt").read_text(encoding="utf-8")
    assert error.value.filename == str(tmp_path / "source.txt")


def test_an_error_names_the_path_that_cannot_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "x")
    with pytest.raises(OSError, match="file"):
        write_text(tmp_path / "file" / "a.txt", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_text(tmp_path / "folder", "x")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_follow_the_umask_as_for_any_new_file(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "x")
        (tmp_path / "plain.txt").write_text("x", encoding="utf-8")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "plain.txt")]
    assert modes == [0o666 & ~mask] * 2
