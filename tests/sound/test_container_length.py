"""How long a file says it is, whatever its header holds."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sorigeul.sound.container_length import missing_bytes

MAGICS = (
    *(b"RIFF0000AVI ", b"FORM", b"RF640000WAVEds64", b"riff", b"caff\0\1\0\0", b"NIST"),
    *(b"\xf0\x7e", b"Creative Voice File", b"\0\0\0\0\1\0\0\0\1\0\0\0", b"MATLAB 5.0 MAT-file"),
    *(b"\0\0\3\xe8\0\0\0\1\0\0\0\1", b"2BIT", b"Extended Instrument:", b"\1\4"),
    b"ALawSoundFile**",
)


@given(st.sampled_from(MAGICS), st.binary(max_size=400))
@example(b"caff\0\1\0\0", b"desc" + b"\xff" * 8)
def test_no_header_is_too_odd(magic: bytes, rest: bytes) -> None:
    head = magic + rest
    missing = missing_bytes(head, len(head))
    assert missing is None or missing[0] > missing[1] == len(head)


def test_only_a_file_that_is_much_shorter_lacks_something() -> None:
    head = b"FORM" + (10_000).to_bytes(4, "big") + b"AIFF"
    assert missing_bytes(head, 9_000) == (10_008, 9_000)
    assert missing_bytes(head, 10_000) is None
    assert missing_bytes(head, 20_000) is None


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF])
def test_a_length_that_was_not_known_when_it_was_written_is_none(size: int) -> None:
    assert missing_bytes(b"FORM" + size.to_bytes(4, "big") + b"AIFF", 9_000) is None
