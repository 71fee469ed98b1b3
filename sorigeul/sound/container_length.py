"""How long a file is by its own header.

Only of the kinds of files whose decoders stop without a word at the end of a file that was cut
short. PAF, PVF, IRCAM and MP3 or AAC without a tag do not say how long they are.
"""

import re
import struct
from collections.abc import Callable

_TOLERANCE = 64  # bytes; writers disagree on whether padding and headers count
_UNKNOWN = 0x7FFFF000  # and above: written to a pipe, whose length was not known


def missing_bytes(head: bytes, size: int) -> tuple[int, int] | None:
    """The bytes that a file promises and those that it has, if they are much less."""
    promised = _promised(head)
    if size + _TOLERANCE < promised < _UNKNOWN:
        return promised, size
    return None


def _promised(head: bytes) -> int:
    """The length of a file by its header; 0 if the header does not say."""
    for magic, length in _LENGTHS.items():
        if head.startswith(magic):
            try:
                return length(head)
            except (struct.error, LookupError, OverflowError):  # cut short or damaged itself
                return 0
    return 0


def _number(head: bytes, format: str, place: int) -> int:
    return int(struct.unpack_from(format, head, place)[0])


def _avi(head: bytes) -> int:
    return 8 + _number(head, "<I", 4) if head[8:12] == b"AVI " else 0


def _rf64(head: bytes) -> int:
    return 8 + _number(head, "<Q", 20) if head[12:16] == b"ds64" else 0


def _caf(head: bytes) -> int:
    """Core Audio Format: chunks of a type and a size, of which one is the sound."""
    place = 8
    while head[place : place + 4] != b"data":
        place += 12 + _number(head, ">Q", place + 4)
    return place + 12 + _number(head, ">Q", place + 4)


def _nist(head: bytes) -> int:
    """NIST SPHERE: lines of text in a header of 1,024 bytes."""
    names = (b"sample_count", b"channel_count", b"sample_n_bytes")
    found = [re.search(rb"^%s -i (\d{1,12})$" % name, head, re.MULTILINE) for name in names]
    is_plain = re.search(rb"^sample_coding -s\d+ (?:pcm|ulaw|alaw)$", head, re.MULTILINE)
    if not is_plain or None in found:
        return 0
    count, channels, width = (int(match[1]) for match in found if match)
    return 1024 + count * channels * width


def _sds(head: bytes) -> int:
    """MIDI Sample Dump Standard: packets of 127 bytes, each with 120 of sound, 7 bits a byte."""
    bits, low, middle, high = struct.unpack_from("B3x3B", head, 6)
    each = 120 // max(-(-bits // 7), 1)  # samples in a packet
    return 21 + 127 * int((low | middle << 7 | high << 14) // each)


def _voc(head: bytes) -> int:
    """Creative Voice: blocks of a type and three bytes of size; here the end of the first one."""
    place = _number(head, "<H", 20)
    return place + 4 + (_number(head, "<I", place) >> 8)


def _mat4(head: bytes) -> int:
    """MATLAB 4: libsndfile's matrix of the sampling rate, then that of the sound."""
    order = "<" if head[0] == 0 and head[4] == 1 else ">"
    place = 0
    for _ in range(2):
        kind, rows, columns, _, name = struct.unpack_from(f"{order}5i", head, place)
        place += 20 + name + rows * columns * _MAT4_WIDTHS[kind // 10 % 10]
    return place


_MAT4_WIDTHS = (8, 4, 4, 2, 2, 1)  # bytes of a number of each type


def _mat5(head: bytes) -> int:
    """MATLAB 5: elements of a type and a size, first that of the sampling rate, then the sound."""
    order = "<" if head[126:128] == b"IM" else ">"
    place = 128
    for _ in range(2):
        place += 8 + _number(head, f"{order}I", place + 4)
    return place


def _avr(head: bytes) -> int:
    channels = 2 if _number(head, ">H", 12) else 1
    return 128 + channels * _number(head, ">H", 14) // 8 * _number(head, ">I", 26)


def _xi(head: bytes) -> int:
    """Instrument of FastTracker 2: of each sample a header of 40 bytes, then all samples."""
    count = _number(head, "<H", 296)
    return 298 + sum(40 + _number(head, "<I", 298 + 40 * sample) for sample in range(count))


def _mpc2k(head: bytes) -> int:
    return 42 + 2 * (1 + head[21]) * _number(head, "<I", 30)


_LENGTHS: dict[bytes, Callable[[bytes], int]] = {
    b"RIFF": _avi,
    b"FORM": lambda head: 8 + _number(head, ">I", 4),
    b"RF64": _rf64,
    b"riff": lambda head: _number(head, "<Q", 16),  # W64
    b"caff": _caf,
    b"NIST": _nist,
    b"\xf0\x7e": _sds,
    b"Creative Voice File": _voc,
    b"\0\0\0\0\1\0\0\0\1\0\0\0": _mat4,
    b"\0\0\3\xe8\0\0\0\1\0\0\0\1": _mat4,
    b"MATLAB 5.0 MAT-file": _mat5,
    b"2BIT": _avr,
    b"Extended Instrument:": _xi,
    b"\1\4": _mpc2k,
    b"ALawSoundFile**": lambda head: 32 + _number(head, ">I", 18),
}
"""by the first bytes of a file"""
