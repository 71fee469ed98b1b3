"""Which recording goes with which text, and names that cannot be used."""

import unicodedata
from pathlib import Path

import pytest
from helpers.trees import unreadable_folder

from sorigeul.alignment.pairs import Pair, find_pairs
from sorigeul.base.errors import UserError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of recordings and one of texts."""
    recordings, texts = tmp_path / "recordings", tmp_path / "texts"
    recordings.mkdir()
    texts.mkdir()
    return recordings, texts


def touched(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_names_are_the_same(
    folders: tuple[Path, Path], forms: tuple[str, str]
) -> None:
    recordings, texts = folders
    recording = touched(recordings, unicodedata.normalize(forms[0], "강의.flac"))
    text = touched(texts, unicodedata.normalize(forms[1], "강의.TXT"))
    pair = Pair(recording, text)
    assert find_pairs(recordings, texts, recordings / "audio") == ([pair], 0)
    assert find_pairs(recording, texts, recordings / "audio") == ([pair], 0)


def test_utterances_of_an_earlier_call_are_no_recordings(folders: tuple[Path, Path]) -> None:
    recordings, texts = folders
    pair = Pair(touched(recordings, "a.flac"), touched(texts, "a.txt"))
    touched(recordings, "out/audio/a/a-00001.flac")
    touched(recordings, "out/audio/a/a.flac")
    assert find_pairs(recordings, texts, recordings / "out" / "audio") == ([pair], 0)


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\u2028b", "a\udcffb"])
def test_a_name_that_no_table_can_hold_is_refused(folders: tuple[Path, Path], name: str) -> None:
    recordings, texts = folders
    recording, text = touched(recordings, f"{name}.flac"), touched(texts, f"{name}.txt")
    for places in ((recordings, texts), (recording, text)):
        with pytest.raises(UserError, match="which a table cannot hold: rename it"):
            find_pairs(*places, recordings / "audio")


def test_what_is_not_there_is_named(folders: tuple[Path, Path]) -> None:
    recordings, texts = folders
    text = touched(texts, "a.txt")
    with pytest.raises(UserError, match=r"a\.flac: no such file; give a recording"):
        find_pairs(recordings / "a.flac", text, recordings / "audio")
    recording = touched(recordings, "b.flac")
    with pytest.raises(UserError, match=r"texts/b\.txt: no such file"):
        find_pairs(recording, texts, recordings / "audio")


def test_folders_that_cannot_be_read_are_counted(folders: tuple[Path, Path]) -> None:
    recordings, texts = folders
    pair = Pair(touched(recordings, "a.flac"), touched(texts, "a.txt"))
    unreadable_folder(recordings)
    assert find_pairs(recordings, texts, recordings / "audio") == ([pair], 1)


def test_a_link_to_itself_is_a_recording_like_any_other(folders: tuple[Path, Path]) -> None:
    recordings, texts = folders
    (recordings / "a.flac").symlink_to("a.flac")
    pair = Pair(recordings / "a.flac", touched(texts, "a.txt"))
    assert find_pairs(recordings, texts, recordings / "audio") == ([pair], 0)
