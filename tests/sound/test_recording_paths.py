"""Recordings are found by the names that people write, and what differs is said."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigeul.base.errors import UserError
from sorigeul.sound.recording_paths import NameIndex, RecordingFinder

FORMS = ("NFC", "NFD")


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("folder_form", FORMS)
@pytest.mark.parametrize("file_form", FORMS)
@pytest.mark.parametrize("written_form", FORMS)
def test_hangul_is_found_composed_and_decomposed_in_any_part_of_a_path(
    tmp_path: Path, folder_form: str, file_form: str, written_form: str
) -> None:
    folder = unicodedata.normalize(folder_form, "녹음 파일") + "/하나"
    path = touch(tmp_path / folder / unicodedata.normalize(file_form, "문장 1.wav"))
    written = unicodedata.normalize(written_form, "녹음 파일/하나/문장 1.wav")
    finder = RecordingFinder()
    assert os.path.samefile(finder.find(written, tmp_path), path)
    assert os.path.samefile(finder.find(str(tmp_path / written), Path("/elsewhere")), path)


@pytest.mark.parametrize(
    "written", ["a\\b.WAV", "a/b.wav", " a\\b.Wav ", ".\\a\\b.wav", "a\\..\\a\\b.wav", "a/b.WAV"]
)
def test_backslashes_spaces_around_and_the_case_of_the_extension_mean_nothing(
    tmp_path: Path, written: str
) -> None:
    path = touch(tmp_path / "a" / "b.WAV")
    assert os.path.samefile(RecordingFinder().find(written, tmp_path), path)


def test_a_name_that_exists_as_it_is_written_is_taken_first(tmp_path: Path) -> None:
    for name in ("a\\b.wav", "a/b.wav", "c.wav", "c.WAV"):
        touch(tmp_path / name)
    finder = RecordingFinder()
    for name in ("a\\b.wav", "a/b.wav", "c.wav", "c.WAV"):
        assert finder.find(name, tmp_path) == tmp_path / name
    with pytest.raises(UserError, match=r"no file .*c\.Wav; the nearest name there is 'c\.WAV'"):
        finder.find("c.Wav", tmp_path)  # which of the two?


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "하나/A.wav",
            "no file {}/하나/A.wav; the nearest name there is 'a.wav', with 'a' for 'A'",
        ),
        ("하나/a.mp3", "'a.wav', with 'wav' for 'mp3'"),
        ("하나/문장1.wav", "'문장 1.wav', with ' ' added"),
        ("하나/문장\u00a01.wav", r"'문장 1.wav', with ' ' for '\xa0'"),
        ("하나/문장 (1).wav", "'문장 1.wav', without '(', without ')'"),
        (
            "한나/a.wav",
            "no file {}/한나/a.wav: {} has no folder '한나'; the nearest name there is '하나'",
        ),
        ("하나/전혀 다름.wav", "no file {}/하나/전혀 다름.wav"),
    ],
)
def test_where_nothing_is_found_the_nearest_name_and_what_differs_are_shown(
    tmp_path: Path, written: str, message: str
) -> None:
    for name in ("a.wav", "문장 1.wav"):
        touch(tmp_path / "하나" / name)
    with pytest.raises(UserError) as error:
        RecordingFinder().find(written, tmp_path)
    assert message.replace("{}", str(tmp_path)) in str(error.value)
    if "전혀" in written:
        assert "nearest" not in str(error.value)


@pytest.mark.parametrize(
    "written", ["C:\\Users\\나\\a.wav", "d:/corpus/a.wav", "\\\\server\\a.wav"]
)
def test_a_path_of_a_windows_machine_is_answered_with_the_remedy(
    tmp_path: Path, written: str
) -> None:
    with pytest.raises(UserError, match=r"Windows machine: name the folder .* --audio_root"):
        RecordingFinder().find(written, tmp_path)


def test_names_that_no_file_can_have_are_not_found(tmp_path: Path) -> None:
    finder = RecordingFinder()
    for name in ("b\0.wav", "가" * 300 + ".wav", "x/" * 3_000 + "a.wav", "\ud800/\ud800.wav"):
        with pytest.raises(UserError, match=r"^no file "):
            finder.find(name, tmp_path)


def test_a_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"문장 {number}.WAV" for number in range(2_000)]
    for name in names:
        touch(tmp_path / unicodedata.normalize("NFD", "녹음") / unicodedata.normalize("NFD", name))
    listed: list[str] = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(str(path)) or listdir(path))
    finder = RecordingFinder()
    for name in names:
        assert finder.find(f"녹음\\{name}", tmp_path).name == unicodedata.normalize("NFD", name)
        with pytest.raises(UserError, match=r"^no file "):
            finder.find(f"녹음\\x{name}", tmp_path)
    assert len(listed) == len(set(listed)) == 2  # the folder, and the one that holds it


@given(
    st.text(st.characters(exclude_characters="/."), min_size=1),
    st.sampled_from(FORMS),
    st.booleans(),
)
def test_every_name_is_found_in_other_spellings(stem: str, form: str, upper: bool) -> None:
    name = f"{stem}.wav"
    written = unicodedata.normalize(form, stem) + (".WAV" if upper else ".wav")
    assert NameIndex([name, "\n"]).find(written) == name
