"""Recordings that have moved since their manifest was written are found under another folder."""

import unicodedata
from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.sound.moved_recordings import find_relocation


def test_the_folders_below_the_root_are_kept(tmp_path: Path) -> None:
    """The same name in another folder is another recording."""
    root = tmp_path / "new"
    paths = [Path(f"a/{split}/{name}.wav") for split in ("train", "x/train") for name in "123"]
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(bytes(number))
    (root / "1.wav").touch()  # a shorter end of the path exists too
    relocate = find_relocation([f"/old/b/{path}" for path in paths], root, tmp_path)
    for path in paths:
        assert relocate(f"/old/b/{path}") == str(root / path)
    assert relocate("/elsewhere/1.wav") == "/elsewhere/1.wav"


def test_the_first_recording_may_be_missing_under_the_root(tmp_path: Path) -> None:
    (tmp_path / "new" / "a").mkdir(parents=True)
    (tmp_path / "new" / "a" / "2.wav").touch()
    written_paths = ["/old/b/gone.wav", "/old/b/a/2.wav"]
    relocate = find_relocation(written_paths, tmp_path / "new", tmp_path)
    assert relocate("/old/b/gone.wav") == str(tmp_path / "new" / "gone.wav")


def test_names_may_be_of_windows_or_in_another_unicode_form(tmp_path: Path) -> None:
    """Prepared on a Mac or listed on Windows, and used here."""
    for name in ("하나/가.WAV", "둘/나.wav"):
        path = tmp_path / "new" / unicodedata.normalize("NFD", name)
        path.parent.mkdir(parents=True)
        path.touch()
    root = tmp_path / "new"
    first, second = sorted(root.glob("*/*"), key=str)
    if first.parent.name != unicodedata.normalize("NFD", "둘"):
        first, second = second, first
    windows = ["C:\\Users\\나\\녹음\\하나\\가.wav", "C:\\Users\\나\\녹음\\둘\\나.wav"]
    relocate = find_relocation(windows, root, tmp_path)
    assert [relocate(path) for path in windows] == [str(second), str(first)]
    assert relocate("C:\\Users\\나\\녹음\\셋\\다.wav") == str(root / "셋" / "다.wav")
    macos = ["/Volumes/녹음/둘/나.wav"]
    assert find_relocation(macos, root, tmp_path)(macos[0]) == str(first)


def test_a_root_without_any_of_the_recordings_is_refused(tmp_path: Path) -> None:
    message = r"holds no recording of .*t\.csv: give the folder that has …/b/a/1\.wav"
    with pytest.raises(UserError, match=message):
        find_relocation(["D:\\b\\a\\1.wav"], tmp_path, tmp_path / "t.csv")
