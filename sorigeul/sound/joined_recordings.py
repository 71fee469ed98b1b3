"""Whether a file holds several recordings that were joined byte by byte, as `cat` does.

Of some formats only the first is decoded, of others all. AAC and MP3 are told by what encoders
write at their beginning; from encoders that write nothing, joined ones look like one.
"""

import re
from typing import NamedTuple

from sorigeul.sound.source import InputFile

_CHUNK = 2**20  # bytes
_LONGEST = 64  # bytes of a beginning


class JoinedRecordings(NamedTuple):
    """What a file holds."""

    recordings: int
    all_heard: bool
    """whether all of them are decoded, and not only the first"""

    def __str__(self) -> str:
        which = "" if self.all_heard else "the first of "
        return f"read {which}{self.recordings} recordings that were joined in one file"


def joined_recordings(file: InputFile, head: bytes) -> JoinedRecordings | None:
    """What a file holds, if it is more than one recording.

    It is read whole for this. It is at its start again afterwards.
    """
    all_heard = False
    beginning = _beginning_of_first(head)
    if beginning is None:
        all_heard = True
        beginning = _beginning_of_all(head)
    if beginning is None:
        return None
    # Several streams side by side, as in an Ogg file with a video, begin together.
    together = len(beginning.findall(head)) if head.startswith(b"OggS") else 1
    count = _count(file, beginning) // max(together, 1)
    return JoinedRecordings(count, all_heard) if count > 1 else None


def _count(file: InputFile, beginning: re.Pattern[bytes]) -> int:
    count, rest = 0, b""
    file.seek(0)
    while data := file.read(_CHUNK):
        data = rest + data
        count += len(beginning.findall(data))
        rest = data[-_LONGEST + 1 :]
        count -= len(beginning.findall(rest))  # they are found again
    file.seek(0)
    return count + len(beginning.findall(rest))


def _beginning_of_first(head: bytes) -> re.Pattern[bytes] | None:
    """What a file begins with, if a decoder stops at the end of the first recording."""
    is_riff = head[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM") and len(head) >= 16
    if is_riff and head[8:12] != b"AVI ":
        return re.compile(re.escape(head[:4]) + rb"[\s\S]{4}" + re.escape(head[8:16]))
    if head[4:8] == b"ftyp":
        return re.compile(re.escape(head[:12]))
    if head.startswith((b"fLaC", b".snd", b"caff", b"FLV\1")):
        return re.compile(re.escape(head[:8]))
    if head.startswith(b"\xf0\x7e"):  # SDS, in whose sound no byte is above 127
        return re.compile(re.escape(head[:4]))
    if head[20:31] == b"samplerate\0":  # MAT4
        return re.compile(re.escape(head[:31]))
    return None


def _beginning_of_all(head: bytes) -> re.Pattern[bytes] | None:
    """What a file begins with, if a decoder goes on with the next recording."""
    if head.startswith(b"OggS"):
        return re.compile(rb"OggS\x00\x02")
    if head.startswith(b"RIFF"):
        return re.compile(rb"RIFF[\s\S]{4}AVI LIST")
    for magic, length in _HEARD.items():
        if head.startswith(magic):
            return re.compile(re.escape(head[:length]))
    if head[:1] == b"\xff" and (encoder := re.search(rb"Lavc[\d.]+", head[:64])):  # ADTS
        return re.compile(re.escape(encoder[0]))
    if re.search(_INFO_TAG, head[:4096]):
        return re.compile(_INFO_TAG)
    return re.compile(_ID3) if head.startswith(b"ID3") else None


_INFO_TAG = rb"\x00{9}(?:Xing|Info)"
"""of an MP3: in its first frame, after what such a frame has in place of sound"""
_ID3 = rb"ID3[\x02-\x04]\x00[\x00-\xf0][\x00-\x7f]{4}"
_HEARD = {
    b"riff": 16,  # W64
    b"\x1a\x45\xdf\xa3": 12,  # mkv, webm
    b"NIST_1A": 16,
    b"Creative Voice File": 20,
    b"MATLAB 5.0 MAT-file": 19,
    b"2BIT": 26,
    b" paf": 24,
    b"fap ": 24,
    b"PVF1": 16,
    b"\x64\xa3": 12,
    b"\0\1\xa3\x64": 12,
    b"\0\2\xa3\x64": 12,
    b"\0\3\xa3\x64": 12,
    b"Extended Instrument:": 20,
    b"ALawSoundFile**": 18,
    b"\1\4": 19,  # MPC2K
}
"""first bytes of a format: how many of them are the same in each recording"""
