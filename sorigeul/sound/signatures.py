"""Tells from the first bytes of a file what it is, whatever its name says."""

import struct

# First bytes of the formats that libsndfile reads reliably. It takes everything else for MP3.
_LIBSNDFILE = (
    b"RIFF",  # wav
    b"RIFX",
    b"RF64",
    b"riff",  # w64
    b"FORM",  # aiff, 8svx
    b".snd",
    b"dns.",
    b"caff",
    b"fLaC",
    b"OggS",
    b"NIST_1A",
    b"Creative Voice File",
    b"MATLAB 5.0 MAT-file",
    b"\0\0\0\0\1\0\0\0\1\0\0\0",  # mat4, little-endian
    b"\0\0\3\xe8\0\0\0\1\0\0\0\1",  # mat4, big-endian
    b"ALawSoundFile**",
    b"Extended Instrument:",
    b"2BIT",  # avr
    b" paf",
    b"fap ",
    b"PVF1",
    b"\x64\xa3\1\0",  # ircam
    b"\x64\xa3\2\0",
    b"\x64\xa3\3\0",
    b"\x64\xa3\4\0",
    b"\0\1\xa3\x64",
    b"\0\2\xa3\x64",
    b"\0\3\xa3\x64",
    b"\1\4",  # mpc2k
    b"\xf0\x7e",  # sds
)
# First bytes of other files with a header.
_LIBAV = (
    b"\x1a\x45\xdf\xa3",  # webm, mkv
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # asf, wma
    b"#!AMR",
    b"ID3\2\0",
    b"ID3\3\0",
    b"ID3\4\0",
    b"FLV\1",
    b"\0\0\1\xba",  # mpeg program stream
)
# Short ones, and short ones that begin with a zero, may also be samples of a quiet recording.
_NOT_SAMPLES = tuple(
    magic for magic in _LIBSNDFILE + _LIBAV if len(magic) > 8 or (len(magic) > 3 and magic[0])
)
# A wav of another encoding must be seekable for libsndfile, since libav cannot decode some of them.
_COMMON_WAV_TAGS = {1, 3, 6, 7, 0xFFFE}  # PCM, float, A-law, mu-law, extensible


def for_libsndfile(head: bytes) -> bool:
    """Whether libsndfile recognises a file that begins with ``head``; MP3 is not told from it."""
    return head.startswith(_LIBSNDFILE) or _is_htk(head)


def has_header(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is surely not headerless PCM."""
    return head.startswith(_NOT_SAMPLES) or _is_mp4(head) or _is_mpegts(head)


def can_stream(head: bytes) -> bool:
    """Whether libav can decode a file that begins with ``head`` as it comes, without seeking."""
    if head.startswith((b"RIFF", b"RF64")):
        at = head.find(b"fmt ")
        tag = struct.unpack_from("<H", head, at + 8)[0] if 0 < at < len(head) - 10 else 0
        return is_avi(head) or tag in _COMMON_WAV_TAGS
    if _is_mp4(head):
        return _begins_with_index(head)
    mpeg_sync = len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0  # mp3, adts
    streamable = (b"fLaC", b"OggS", *_LIBAV)
    return head.startswith(streamable) or mpeg_sync or _is_mpegts(head)


def _is_htk(head: bytes) -> bool:
    """Whether a file begins as HTK's 16-bit waveforms, which have no magic number, do."""
    if len(head) < 12 or head[8:12] != b"\0\2\0\0":  # bytes of a sample, and kind of the samples
        return False
    samples, period = struct.unpack_from(">II", head)
    return bool(samples < 2**28 and 10 <= period <= 10_000)  # of 100 ns: 1 kHz to 1 MHz


def is_avi(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a video of the kind AVI."""
    return head.startswith(b"RIFF") and head[8:12] == b"AVI "


def _is_mp4(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


def _is_mpegts(head: bytes) -> bool:
    syncs = head[: 5 * 188 : 188]
    return syncs == b"G" * 5


def _begins_with_index(head: bytes) -> bool:
    """Whether the index of an mp4 ("moov") comes before the sound ("mdat")."""
    at = 0
    while at + 8 <= len(head):
        size, kind = struct.unpack_from(">I4s", head, at)
        if kind in (b"moov", b"mdat") or size < 8:
            return bool(kind == b"moov")
        at += size
    return False
