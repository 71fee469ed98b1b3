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
def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, "a.wav", "closed/b.wav")
    (tmp_path / "closed").chmod(0)
    try:
        assert names(tmp_path) == ["a.wav"]
        with pytest.raises(UserError, match="is a folder"):
            find_recordings([tmp_path], recursive=False)
    finally:
        (tmp_path / "closed").chmod(0o755)
    assert "closed cannot be read (Permission denied) and is left out" in caplog.text
