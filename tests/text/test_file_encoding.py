"""Decoding of text files: UTF-8, CP949 or UTF-16, and the byte at which neither fits."""

import os
import unicodedata
from pathlib import Path

import pytest

from sorigeul.base.errors import UserError
from sorigeul.text import file_encoding
from sorigeul.text.file_encoding import decode_text, read_lines, read_text_file


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
def test_either_encoding_and_every_line_end_are_read(encoding: str) -> None:
    assert decode_text("똠방각하\r\n펲시\r콜라\n".encode(encoding), "x") == "똠방각하\n펲시\n콜라\n"


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    """Reading a pipe that nobody writes to would wait for ever."""
    (tmp_path / "a.txt").write_bytes("펲시".encode("cp949"))
    assert read_text_file(tmp_path / "a.txt") == "펲시"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"^a text: is a named pipe; give a regular file"):
        read_text_file(tmp_path / "pipe", "a text")


def test_utf_16_of_either_byte_order_is_read() -> None:
    assert decode_text("\ufeff똠방\r\n".encode("utf-16-be"), "x") == "똠방\n"
    assert decode_text("\ufeff똠방\r\n".encode("utf-16-le"), "x") == "똠방\n"


def test_decomposed_hangul_is_composed() -> None:
    assert decode_text(unicodedata.normalize("NFD", "한글").encode(), "x") == "한글"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("가나".encode() + b"\xff\xff", r"notes\.txt: .*\(not UTF-8 from byte 6 on\)"),
        ("가나다라".encode("cp949") + b"\xff\xff", r"notes\.txt: .*\(not CP949 from byte 8 on\)"),
        (b"\xef\xbb\xbf\xb0\xa1", r"notes\.txt: .*\(not UTF-8 from byte 3 on\)"),
        ("가".encode("utf-16") + b"a", r"notes\.txt: not UTF-16, .* \(from byte 4 on\)"),
        ("가".encode("utf-16-be"), r"notes\.txt: .* from byte 0 on\)"),
    ],
)
def test_the_error_names_the_file_and_the_byte(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        decode_text(data, "notes.txt")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_a_file_is_read_line_by_line(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(f"똠방각하{end}{end}펲시 콜라".encode(encoding))
    lines = list(read_lines(path))
    assert [line for line, _ in lines] == ["똠방각하", "", "펲시 콜라"]
    assert lines[-1][1] == path.stat().st_size


@pytest.mark.parametrize("padding", range(4))
def test_characters_across_the_ends_of_chunks_are_whole(
    tmp_path: Path, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_encoding, "_CHUNK", 5)
    path = tmp_path / "a.txt"
    text = "x" * padding + "가나다라 마바사"
    for encoding in ("utf-8", "cp949"):
        path.write_bytes(text.encode(encoding))
        assert [line for line, _ in read_lines(path)] == [text]
        path.write_bytes(text.encode(encoding) + b"\xff\xff")
        offset = len(text.encode(encoding))
        with pytest.raises(UserError, match=rf"from byte {offset} on"):
            list(read_lines(path))


def test_decomposed_lines_are_composed(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(unicodedata.normalize("NFD", "한글\n가나\n"), encoding="utf-8")
    assert [line for line, _ in read_lines(path)] == ["한글", "가나"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.txt cannot be read"):
        list(read_lines(tmp_path / "none.txt"))
