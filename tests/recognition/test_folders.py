"""Recordings in folders: which files are taken, in which order, and under which names."""

import os
from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.recognition.folders import find_recordings


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(folder: Path) -> list[str]:
    return [found.name.as_posix() for found in find_recordings([folder], recursive=True)]


def test_files_are_taken_as_they_are_given(tmp_path: Path) -> None:
    paths = [tmp_path / "b.txt", tmp_path / "none.wav", Path("-")]
    assert [found.path for found in find_recordings(paths, recursive=False)] == paths


def test_recordings_of_a_folder_are_sorted_and_keep_their_folders(tmp_path: Path) -> None:
    fill(tmp_path, "b.WAV", "a/z.mp4", "a/b/c.m4a", "notes.txt", ".hidden.wav", ".trash/x.wav")
    assert names(tmp_path) == ["a/b/c.m4a", "a/z.mp4", "b.WAV"]


def test_links_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    fill(tmp_path, "disk/a.wav", "list/b.wav")
    (tmp_path / "list" / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "list")
    assert names(tmp_path / "list") == ["b.wav", "link/a.wav"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "a.wav", "closed/b.wav")
    (tmp_path / "closed").chmod(0)
    try:
        closed, whole = find_recordings([tmp_path], recursive=True)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert (whole.path, whole.fault) == (tmp_path / "a.wav", None)
    reason = f"{tmp_path / 'closed'}: the folder cannot be read (Permission denied)"
    assert str(closed.fault) == reason


def test_a_folder_among_files_is_a_recording_with_a_fault(tmp_path: Path) -> None:
    fill(tmp_path, "a.wav", "empty/notes.txt")
    file, folder = find_recordings([tmp_path / "a.wav", tmp_path / "empty"], recursive=False)
    assert (file.fault, folder.path) == (None, tmp_path / "empty")
    assert str(folder.fault).endswith(
        "empty is a folder: give --recursive for the recordings in it"
    )
    _, folder = find_recordings([tmp_path / "a.wav", tmp_path / "empty"], recursive=True)
    assert "empty holds no recording" in str(folder.fault)
    for recursive in (False, True):
        with pytest.raises(UserError, match="empty "):
            find_recordings([tmp_path / "empty"], recursive)
