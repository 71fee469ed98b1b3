"""Decodes wav, flac, ogg, opus, tagged mp3 and the older formats of studios with libsndfile."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from sorigeul.base.stopping import stop_signals_wait
from sorigeul.sound import signatures
from sorigeul.sound.container_length import missing_bytes
from sorigeul.sound.decoder_messages import without_decoder_messages
from sorigeul.sound.source import InputFile, check_duration, checked_rate, damaged

_SDS = b"\xf0\x7e"  # the first bytes of MIDI Sample Dump Standard
_PRINTING = ("SDS", "MP3", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
"""formats and encodings whose decoders print what they find damaged"""
_BLOCK = 2**17  # samples of a channel; a typical utterance is one block
_CHUNK = 2**20  # bytes
_UNKNOWN_LENGTH = 2**62  # samples; libsndfile says more where the header says nothing
# No microphone or mixer goes 18 dB above full scale; integers stored as floats do.
_ABOVE_FULL_SCALE = 8.0
_SEEKABLE = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32")
"""encodings in which a sample does not depend on those before it, or which are decoded as if so"""
_INTEGER_FULL_SCALES = {16: 2.0**15, 24: 2.0**23, 32: 2.0**31}  # bits: value
_SHARE_OF_FAULTS = 0.001  # of the samples may be above the full scale


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read in one go.

    soundfile seeks after every block that it reads. In GSM 6.10 and others, that is an error. In
    Opus it changes the samples.
    """

    def seekable(self) -> bool:
        return False


def open_sound_file(file: InputFile, head: bytes, name: str) -> Any:
    """Return a `soundfile.SoundFile`, or None if libsndfile cannot read the whole file."""
    size = file.size
    is_ogg = head.startswith(b"OggS")
    if is_ogg and _chain_length(file) > 1:
        return None  # several recordings one after the other, or side by side
    known = signatures.for_libsndfile(head)
    missing = missing_bytes(head, size)
    if missing and not signatures.is_avi(head):
        raise damaged(name, "it promises {} bytes and has {}".format(*missing))
    end = _ogg_end(file) if is_ogg else None if known else _mp3_end(file)
    if end and end > size:
        raise damaged(name, f"it promises {end} bytes and has {size}")
    # For an MP3 without a tag, libsndfile guesses the length and stops there, even if more follows.
    # A tag that covers less than the file belongs to the first of several joined MP3s. libsndfile
    # also takes every unknown format for MP3, and prints to standard error if it is not.
    if not known and not (end and end > 0.98 * size):
        return None
    file.seek(0)
    prints = not known or head.startswith(_SDS)
    try:
        with file.calling(), without_decoder_messages() if prints else nullcontext():
            sound_file = _ForwardSoundFile(file)
    except soundfile.LibsndfileError:
        return None
    # If the data chunk is longer than the file, libsndfile shortens it without an error. Only this
    # line of its log shows it.
    shortened = re.search(
        r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", sound_file.extra_info
    )
    if shortened:
        declared, actual = map(int, shortened.groups())
        # Larger values mean that the file was written to a pipe and its length was not known.
        if actual < declared < 0x7FFFF000:
            raise damaged(name, f"it promises {declared} bytes of sound and has {actual}")
    # A wav that was written to a pipe may declare 0 bytes of sound. libsndfile believes it.
    if not sound_file.frames and size > len(head):
        return None
    return sound_file


def _chain_length(file: InputFile) -> int:
    """Return how many pages of an Ogg file begin a stream (RFC 3533)."""
    magic, count, rest = b"OggS\0\2", 0, b""
    file.seek(0)
    while data := file.read(_CHUNK):
        data = rest + data
        count += data.count(magic)
        rest = data[-len(magic) + 1 :]
    return count


def _ogg_end(file: InputFile) -> int:
    """Return the byte offset at which the last page of an Ogg file ends (RFC 3533)."""
    start = file.seek(max(0, file.size - 65_307))  # the size of the largest page
    tail = file.read()
    page_start = max(0, tail.rfind(b"OggS"))
    page = tail[page_start:].ljust(27, b"\0")
    return start + page_start + 27 + page[26] + sum(page[27 : 27 + page[26]])


def _mp3_end(file: InputFile) -> int | None:
    """Return the byte offset at which an MP3 ends according to its Xing tag; None without a tag."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head.startswith(b"ID3") and len(head) == 10:  # the size is stored in four times seven bits
        start = 10 + sum(
            byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )
    file.seek(start)
    frame = file.read(64)
    tag = max(frame.find(b"Xing"), frame.find(b"Info"))
    if not frame.startswith(b"\xff") or tag < 0 or len(frame) < tag + 16 or not frame[tag + 7] & 2:
        return None
    byte_count = tag + 8 + 4 * (frame[tag + 7] & 1)  # after the frame count, if there is one
    # Encoders disagree on which bytes to count; mpg123 also tolerates 1 %.
    return start + int(0.99 * int.from_bytes(frame[byte_count : byte_count + 4], "big"))


class LibsndfileDecoder:
    """The samples of a sound file as libsndfile decodes them."""

    def __init__(self, sound_file: Any, name: str) -> None:
        self.rate, self.channels = checked_rate(sound_file.samplerate, name), sound_file.channels
        self.account = [f"decoded {sound_file.format} ({sound_file.subtype_info})"]
        self.repairs: list[str] = []
        length_known = sound_file.frames < _UNKNOWN_LENGTH
        self.seconds = sound_file.frames / self.rate if length_known else None
        self._sound_file, self._name = sound_file, name
        self._skipped = 0

    def skip(self, samples: int) -> int:
        """Start after so many samples of each channel, or at the end; return how many.

        Returns 0 where what is decoded could depend on what is left out.
        """
        if self._sound_file.subtype not in _SEEKABLE or self.seconds is None:
            return 0
        with stop_signals_wait():
            self._skipped = self._sound_file.seek(min(samples, self._sound_file.frames))
        return self._skipped

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        """Blocks of samples, float32 (channels, n)."""
        scale = self._full_scale() if self._sound_file.subtype in ("FLOAT", "DOUBLE") else 1.0
        count = self._skipped
        for block in self._read():
            count += block.shape[1]
            yield block if scale == 1 else block * np.float32(1 / scale)
        check_duration(self.seconds or 0.0, count / self.rate, self._name)

    def _read(self) -> Iterator[npt.NDArray[np.float32]]:
        count = self._skipped
        prints = self._sound_file.format in _PRINTING or self._sound_file.subtype in _PRINTING
        while count < self._sound_file.frames:  # libsndfile reads no more than it says
            size = min(_BLOCK, self._sound_file.frames - count)
            try:
                with without_decoder_messages() if prints else nullcontext():
                    block = self._sound_file.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise damaged(
                    self._name, f"the {self._sound_file.format} decoder gave up"
                ) from error
            if not len(block):
                return
            count += len(block)
            yield np.ascontiguousarray(block.T)

    def _full_scale(self) -> float:
        """Return the value of full scale in a float file, 1 unless it holds integers."""
        counts = dict.fromkeys(_INTEGER_FULL_SCALES, 0)
        total = fractions = large = 0
        for block in self._read():
            size = np.abs(block)
            total += size.size
            fractions += int(np.count_nonzero((size > 0) & (size < 1)))
            large += int(np.count_nonzero(size > _ABOVE_FULL_SCALE))
            for bits, full_scale in _INTEGER_FULL_SCALES.items() if large else ():
                counts[bits] += int(np.count_nonzero(size > full_scale))
        self._sound_file.seek(0)
        for bits, full_scale in _INTEGER_FULL_SCALES.items() if large > fractions else ():
            if counts[bits] <= _SHARE_OF_FAULTS * total:
                self.account.append(f"divided the values by {full_scale:.0f}, a {bits}-bit scale")
                return full_scale
        return 1.0
