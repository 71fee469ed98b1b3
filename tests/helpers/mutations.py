"""Small recordings of many kinds, and bytes that are not as they were written."""

from collections.abc import Callable
from pathlib import Path
from random import Random

from helpers.waves import Wave, with_libav, with_soundfile

_WITH_SOUNDFILE = {
    "wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "ima.wav": ("WAV", "IMA_ADPCM"),
    "gsm.wav": ("WAV", "GSM610"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "rf64": ("RF64", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "ALAC_16"),
    "sph": ("NIST", "PCM_16"),
    "sds": ("SDS", "PCM_16"),
}
_WITH_LIBAV = {
    "m4a": ("aac", 16_000),
    "mkv": ("aac", 16_000),
    "webm": ("libopus", 48_000),
    "ts": ("mp2", 16_000),
    "aac": ("aac", 16_000),
    "avi": ("pcm_s16le", 16_000),
}
_SIZES = (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80")


def recordings_of_all_kinds(sound: Wave, folder: Path) -> dict[str, bytes]:
    """The same sound in many containers, by the ending of their names."""
    kinds = {
        ending: with_soundfile(sound, kind=kind, subtype=subtype)
        for ending, (kind, subtype) in _WITH_SOUNDFILE.items()
    }
    for ending, (codec, rate) in _WITH_LIBAV.items():
        kinds[ending] = with_libav(folder / f"whole.{ending}", codec, rate)
    return kinds


def mutated(data: bytes, random: Random) -> bytes:
    """The data with one kind of damage: cut, overwritten, with a hole, joined, with wrong sizes."""
    return random.choice(_DAMAGES)(bytearray(data), random)


def _cut(data: bytearray, random: Random) -> bytes:
    return bytes(data[: random.randrange(len(data))])


def _overwritten(data: bytearray, random: Random) -> bytes:
    end = random.choice((100, 400, len(data)))
    for _ in range(random.choice((1, 5, 50))):
        data[random.randrange(min(end, len(data)))] = random.randrange(256)
    return bytes(data)


def _with_hole(data: bytearray, random: Random) -> bytes:
    place = random.randrange(len(data))
    data[place : place + random.randrange(1, 2_000)] = b""
    return bytes(data)


def _with_insertion(data: bytearray, random: Random) -> bytes:
    place = random.randrange(len(data))
    data[place:place] = random.randbytes(random.randrange(1, 2_000))
    return bytes(data)


def _with_wrong_size(data: bytearray, random: Random) -> bytes:
    place = random.randrange(min(len(data), 400))
    data[place : place + 4] = random.choice(_SIZES)
    return bytes(data)


def _joined(data: bytearray, random: Random) -> bytes:
    return bytes(data * random.choice((2, 3)))


_DAMAGES: tuple[Callable[[bytearray, Random], bytes], ...] = (
    _cut,
    _overwritten,
    _with_hole,
    _with_insertion,
    _with_wrong_size,
    _joined,
)
