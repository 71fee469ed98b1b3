"""How long a file is by its own header, and whether several recordings were joined in it.

Only of the kinds of files whose decoders stop without a word: at the end of a file that was cut
short, or at the end of the first recording.
"""

import re
import struct

from sorigeul.sound.source import InputFile

_TOLERANCE = 64  # bytes; writers disagree on whether padding and headers count
_UNKNOWN = range(0x7FFFF000, 2**64)  # written to a pipe, whose length was not known
_CHUNK = 2**20  # bytes
_LONGEST_MAGIC = 16  # bytes


def missing_bytes(head: bytes, size: int) -> tuple[int, int] | None:
    """The bytes that a file promises and those that it has, if they are much less."""
    promised = _promised(head)
    if promised - size > _TOLERANCE and promised not in _UNKNOWN:
        return promised, size
    return None


def _promised(head: bytes) -> int:
    """The length of a file by its header; 0 if the header does not say."""
    match head[:4], head[8:12]:
        case (b"RIFF", b"AVI ") if len(head) >= 12:
            return 8 + int(struct.unpack_from("<I", head, 4)[0])
        case b"FORM", _ if len(head) >= 12:
            return 8 + int(struct.unpack_from(">I", head, 4)[0])
        case b"RF64", _ if head[12:16] == b"ds64" and len(head) >= 28:
            return 8 + int(struct.unpack_from("<Q", head, 20)[0])
        case b"riff", _ if len(head) >= 24:  # W64
            return int(struct.unpack_from("<Q", head, 16)[0])
        case b"NIST", _:
            return _promised_by_nist(head)
    return 0


def _promised_by_nist(head: bytes) -> int:
    """NIST SPHERE: lines of text in a header of 1,024 bytes."""
    names = (b"sample_count", b"channel_count", b"sample_n_bytes")
    found = [re.search(rb"^%s -i (\d{1,12})$" % name, head, re.MULTILINE) for name in names]
    is_plain = re.search(rb"^sample_coding -s\d+ (?:pcm|ulaw|alaw)$", head, re.MULTILINE)
    if not is_plain or None in found:
        return 0
    count, channels, width = (int(match[1]) for match in found if match)
    return 1024 + count * channels * width


def joined_recordings(file: InputFile, head: bytes) -> int:
    """How many recordings a file holds one after the other, of which only the first is decoded.

    It is read whole for this. It is at its start again afterwards.
    """
    magic = _magic(head)
    if magic is None:
        return 1
    count, rest = 0, b""
    file.seek(0)
    while data := file.read(_CHUNK):
        data = rest + data
        count += len(magic.findall(data))
        rest = data[-_LONGEST_MAGIC + 1 :]
        count -= len(magic.findall(rest))  # they are found again
    file.seek(0)
    return count + len(magic.findall(rest))


def _magic(head: bytes) -> re.Pattern[bytes] | None:
    """What such a file begins with; None for other kinds of files."""
    is_riff = head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM") and len(head) >= 16
    if is_riff and head[8:12] != b"AVI ":
        middle, end = rb"[\s\S]{4}", head[8:16]
        return re.compile(re.escape(head[:4]) + middle + re.escape(end))
    if head[4:8] == b"ftyp":
        return re.compile(re.escape(head[:12]))
    if head.startswith((b"fLaC", b".snd", b"caff", b"FLV\1")):
        return re.compile(re.escape(head[:8]))
    return None
