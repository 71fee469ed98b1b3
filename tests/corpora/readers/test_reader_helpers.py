"""What the readers share: walking folders, and finding recordings by name."""

import os
from pathlib import Path

import pytest
from helpers.trees import write_kspon_scripts, write_text

from sorigeul.base.errors import UserError
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.readers.reader_helpers import Recordings, folder_with, lines, walk


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write_kspon_scripts(tmp_path / "disk")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "disk" / "loop").symlink_to(tmp_path / "disk", target_is_directory=True)
    report = prepare(CORPORA["kspon"], tmp_path / "in", tmp_path / "out")
    assert report.splits["train"]["utterances"] == 1
    assert not [rejected for rejected in report.rejected if "second file" in rejected.reason]


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("kspon", "KsponSpeech_scripts/train.trn"),
        ("kspon", "train_list.csv"),
        ("zeroth", "train_data_01/003/101/101_003.trans.txt"),
        ("clovacall", "clean/train_ClovaCall.json"),
        ("commonvoice", "train.tsv"),
        ("fleurs", "train.tsv"),
    ],
)
def test_a_named_pipe_is_refused(tmp_path: Path, corpus: str, name: str) -> None:
    """Reading one to which nobody writes would wait for ever."""
    pipe = tmp_path / "in" / name
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    with pytest.raises(UserError, match=rf"{name}: is a named pipe"):
        prepare(CORPORA[corpus], tmp_path / "in", tmp_path / "out")


def test_folders_and_files_come_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b/2.txt", "b/1.txt", "b/._1.txt", "a/3.txt", ".git/4.txt"):
        write_text(tmp_path / name, "")
    assert list(walk(tmp_path)) == [
        (tmp_path, []),
        (tmp_path / "a", ["3.txt"]),
        (tmp_path / "b", ["1.txt", "2.txt"]),
    ]


def test_lines_are_numbered_with_blank_ones_and_returned_without_them(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a" / "b.txt", "가\r\n\n \n나", "cp949")
    assert list(lines(path, tmp_path)) == [("a/b.txt:1", "가"), ("a/b.txt:4", "나")]


def test_of_several_folders_with_a_file_the_preferred_one_is_chosen(tmp_path: Path) -> None:
    for language in ("en", "ko", "zz"):
        write_text(tmp_path / language / "train.tsv", "")
    assert folder_with("train.tsv", tmp_path, "ko", "train.tsv") == tmp_path / "ko"
    assert folder_with("train.tsv", tmp_path, "fr", "train.tsv") == tmp_path / "en"
    with pytest.raises(UserError, match=r"no dev\.tsv in it; it should hold a layout"):
        folder_with("dev.tsv", tmp_path, "ko", "a layout")


def test_recordings_are_found_by_name_and_those_not_asked_for_are_rejected(tmp_path: Path) -> None:
    files = [(tmp_path / "a", "1.wav"), (tmp_path / "a", "2.wav"), (tmp_path / "b", "1.wav")]
    recordings = Recordings(files, tmp_path)
    (second,) = recordings.rejected
    assert (second.item, second.where) == ("1.wav", "b/1.wav")
    assert second.reason == "second file of this name, after a/1.wav"
    assert recordings.find("1.WAV") == tmp_path / "a" / "1.wav"
    with pytest.raises(UserError, match=r"no file 12\.wav; the nearest name there is '1\.wav'"):
        recordings.find("12.wav")
    (untranscribed,) = recordings.reject_untranscribed()
    assert (untranscribed.item, untranscribed.where) == ("2", "a/2.wav")
