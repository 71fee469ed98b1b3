"""Files in folders and zip files, and which one a label means."""

import unicodedata
import zipfile
from pathlib import Path

import pytest
from helpers.aihub import write_tree
from helpers.trees import write_text

from sorigeul.base.errors import UserError
from sorigeul.corpora.readers.source_files import FileIndex, SourceFile, source_files


def test_files_are_listed_and_read_the_same_in_folders_and_zip_files(tmp_path: Path) -> None:
    tree = {"가/나": {f"다/{number}.txt": bytes([number]) * 99 for number in range(4)}}
    write_tree(tmp_path / "folders", tree, zipped=False)
    write_tree(tmp_path / "zips", tree, zipped=True)
    write_text(tmp_path / "zips" / "out" / "report.json", "{}")
    for name, folder in (("folders", "가/나/다"), ("zips", "가/나.zip/다")):
        files = list(source_files(tmp_path / name, tmp_path / name / "out"))
        assert [file.where for file in files if isinstance(file, SourceFile)] == [
            f"{folder}/{number}.txt" for number in range(4)
        ]
        for number, file in enumerate(files):
            assert isinstance(file, SourceFile)
            assert file.read() == bytes([number]) * 99


def test_what_cannot_be_read_of_a_zip_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"")
    (tmp_path / "b.zip.part0").write_bytes(b"PK")
    with zipfile.ZipFile(tmp_path / "c.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.json", "{}")
        archive.writestr("__MACOSX/._x.json", "")
    found = {file.item: file.reason for file in source_files(tmp_path, tmp_path / "out")}  # type: ignore[union-attr]
    assert found["a.zip"].startswith("not a readable zip file (File is not a zip file)")
    assert found["b.zip.part0"].startswith("part of a zip file: join the parts")
    assert found["x.json"].startswith("compressed in a way that is not read here")
    assert len(found) == 3


def files(*paths: str) -> list[SourceFile]:
    return [SourceFile(Path("/s"), *path.rpartition("/")[::2]) for path in paths]


@pytest.mark.parametrize(
    ("written", "label", "expected"),
    [
        ("1.wav", "L/a/1.json", "W/a/1.wav"),
        ("x/b/1.wav", "L/a/1.json", "W/b/1.wav"),
        ("b\\1.WAV", "L/a/1.json", "W/b/1.wav"),
        ("1", "L/b/1.json", "W/b/1.wav"),
        ("1.wavp", "L/b/1.json", "W/b/1.wav"),
        ("L/b/1.json", "L/b/1.json", "W/b/1.wav"),
        ("other/2.wav", "L/a/1.json", "W/c/2.wav"),
        (unicodedata.normalize("NFD", "한.wav"), "L/a/1.json", "W/c/한.wav"),
        ("v1.5.wav", "L/1.json", "W/c/v1.5.wav"),
        ("v1.5", "L/1.json", "W/c/v1.5.wav"),
        ("other/1.wav", "L/1.json", None),
        ("a/c/2.wav", "L/a/1.json", None),
        ("3.wav", "L/a/1.json", None),
    ],
)
def test_the_recording_that_a_label_means(written: str, label: str, expected: str | None) -> None:
    paths = ("W/a/1.wav", "W/b/1.wav", "W/c/2.wav", "W/c/한.wav", "W/c/v1.5.wav")
    index = FileIndex(files(*paths))
    (labelled,) = files(label)
    if expected is None:
        with pytest.raises(UserError, match="no file "):
            index.find(written, labelled)
        return
    assert index.find(written, labelled).where == expected
    assert [file.where for file in index.unused()] == [path for path in paths if path != expected]


def test_the_nearest_of_several_is_meant_and_none_if_two_are_as_near() -> None:
    index = FileIndex(files("Training/W/a/1.wav", "Validation/W/a/1.wav"))
    (label,) = files("Validation/L/a/1.json")
    assert index.find("1.wav", label).where == "Validation/W/a/1.wav"
    (label,) = files("L/a/1.json")
    with pytest.raises(UserError, match=r"1\.wav is either .* or "):
        index.find("1.wav", label)


def test_a_file_that_has_vanished_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("gone.json")
    (file,) = source_files(tmp_path, tmp_path / "out")
    assert isinstance(file, SourceFile)
    with pytest.raises(UserError, match=r"a\.json: cannot be read \(No such file"):
        file.read()
