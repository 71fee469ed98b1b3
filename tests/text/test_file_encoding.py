"""Decoding of text files: UTF-8 or CP949, and the byte at which neither fits."""

import unicodedata

import pytest

from sorigeul.base.errors import UserError
from sorigeul.text.file_encoding import decode_text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_either_encoding_and_every_line_end_are_read(encoding: str) -> None:
    assert decode_text("똠방각하\r\n펲시\r콜라\n".encode(encoding), "x") == "똠방각하\n펲시\n콜라\n"


def test_decomposed_hangul_is_composed() -> None:
    assert decode_text(unicodedata.normalize("NFD", "한글").encode(), "x") == "한글"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("가나".encode() + b"\xff\xff", r"notes\.txt: .*\(not UTF-8 from byte 6 on\)"),
        ("가나다라".encode("cp949") + b"\xff\xff", r"notes\.txt: .*\(not CP949 from byte 8 on\)"),
        (b"\xef\xbb\xbf\xb0\xa1", r"notes\.txt: .*\(not UTF-8 from byte 3 on\)"),
        ("가".encode("utf-16"), r"notes\.txt: .* from byte 0 on\)"),
    ],
)
def test_the_error_names_the_file_and_the_byte(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        decode_text(data, "notes.txt")
