"""Which text a path stands for: files, folders, prepared corpora."""

from pathlib import Path

import pytest
from helpers.texts import corpus_of

from sorigeul.base.errors import UserError
from sorigeul.lm.text_sources import TextSource, find_sources, kept_out_transcripts


def write(path: Path, text: str = "가나\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_folder_stands_for_its_text_files_at_any_depth(tmp_path: Path) -> None:
    for name in ("b.txt", "deep/er/c.TXT", "a.txt", "README.md", ".hidden.txt", ".git/d.txt"):
        write(tmp_path / name)
    found = find_sources([tmp_path])
    assert [source.path.relative_to(tmp_path) for source in found] == [
        Path("a.txt"),
        Path("b.txt"),
        Path("deep/er/c.TXT"),
    ]


def test_a_file_is_text_whatever_its_name_and_is_read_once(tmp_path: Path) -> None:
    file = write(tmp_path / "lines.dat")
    link = tmp_path / "link.txt"
    link.symlink_to(file)
    assert find_sources([file, tmp_path, file]) == [TextSource(file)]


def test_a_corpus_gives_its_training_transcripts_and_names_the_others(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, train=["하나", "둘"], dev=["셋"], eval_clean=["넷"])
    (source,) = find_sources([corpus])
    assert source.is_corpus
    assert [line for line, _ in source.lines()] == ["하나", "둘"]
    assert list(kept_out_transcripts(corpus)) == ["셋", "넷"]


def test_positions_in_a_file_end_at_its_size(tmp_path: Path) -> None:
    source = TextSource(write(tmp_path / "a.txt", "가나\n\n다"))
    assert list(source.lines()) == [("가나", 7), ("", 8), ("다", 11)]
    assert source.size == 11


@pytest.mark.parametrize("name", ["missing.txt", "missing"])
def test_a_missing_path_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"{name}: no such text file, folder or prepared corpus"):
        find_sources([tmp_path / name])


def test_a_folder_without_text_is_named(tmp_path: Path) -> None:
    write(tmp_path / "notes.md")
    with pytest.raises(UserError, match=r"holds neither \.txt files nor the manifests"):
        find_sources([tmp_path])


def test_only_a_prepared_corpus_has_transcripts_to_keep_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no prepared corpus"):
        list(kept_out_transcripts(tmp_path))
