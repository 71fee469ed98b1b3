"""Any recording -> float32 mono at 16 kHz, and an account of what was done to it.

Owns every number about sound itself; knows nothing of features, transcripts or tensors.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from av.container import InputContainer

from sorigeul.base.errors import UserError

SAMPLE_RATE = 16_000  # Hz, of everything that leaves this room
SAMPLE_RATES = range(1_000, 1_000_001)  # Hz; a header that claims another one is damaged
SILENCE = 2.0**-16  # half a step of 16-bit audio (full scale is 1): no recording varies as little
SLACK = 0.1  # seconds by which a lossy format, which counts in frames, may fall short of its header
HEADERLESS = {".pcm", ".raw"}  # as in KsponSpeech: 16 kHz, signed 16-bit little-endian, mono
MAGIC = {b"RIFF", b"RF64", b"riff", b"FORM", b".snd", b"caff", b"fLaC", b"OggS"}  # libsndfile's

Samples = npt.NDArray[np.float32]
Source = str | Path | bytes | BinaryIO
Decoded = tuple[Samples, int, int, str]  # mono, its rate in Hz, channels it was mixed of, codec


class AudioError(UserError):
    """A recording that cannot be used. The message starts with the file's name."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound ready for features.

    ``samples``: float32 (N,), mono, 16 kHz, full scale 1. ``account``: what was done to get there.
    """

    samples: Samples
    account: tuple[str, ...]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


def load(source: Source, name: str | None = None) -> Recording:
    """Read a whole recording.

    ``source`` is a path, the bytes of a file, or a binary file object, which is read to its end;
    ``name`` is what messages call it. The content tells the format; only headerless PCM is told by
    the extension of the path or of ``name``. Raises `AudioError` for what is missing, empty, cut
    short, not audio, silent, or holds a NaN or an infinity.
    """
    name = _name(source, name)
    headerless = _is_headerless(source, name)
    with _opened(source, name) as file:
        sound = _soundfile(file, name, headerless)
        decoded = _decode_container(file, name) if sound is None else _decode_soundfile(sound, name)
        mono, rate, channels, codec = decoded
        account = [f"decoded {codec}"]
        if headerless and _size(file) % 2:  # e.g. KsponSpeech_E02262.pcm
            account.append("dropped the odd last byte")
    if channels > 1:
        account.append(f"mixed {channels} channels down to one")
    if not np.isfinite(mono).all():
        seconds = np.flatnonzero(~np.isfinite(mono))[0] / rate
        raise AudioError(
            f"{name}: holds values that are not numbers (NaN or infinite), the first at "
            f"{seconds:.2f} s; export it again, as 16-bit wav for example"
        )
    samples = mono
    if rate != SAMPLE_RATE:
        samples = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
        account.append(f"resampled from {rate} Hz to {SAMPLE_RATE} Hz")
    if not len(samples):
        raise AudioError(f"{name}: holds no sound, only a header; record or export it again")
    if np.ptp(mono) < SILENCE:
        raise AudioError(f"{name}: holds only silence; check the microphone or the channel it used")
    return Recording(samples, tuple(account))


def probe(path: str | Path) -> float:
    """Duration in seconds, by the header where the format has a reliable one, else by decoding.

    Raises `AudioError` as `load` does, but judges the sound itself only where it has to decode.
    """
    name = _name(path, None)
    with _opened(path, name) as file:
        sound = _soundfile(file, name, _is_headerless(path, name))
        if sound is None:
            with _container(file, name) as container:
                seconds = _promised_seconds(container)
        else:
            seconds = sound.frames / _checked_rate(sound.samplerate, name)
    return seconds or load(path).duration


def _name(source: Source, name: str | None) -> str:
    if name is None:
        known = source if isinstance(source, str | Path) else getattr(source, "name", None)
        name = str(known) if isinstance(known, str | Path) else "recording"
    return " ".join(name.splitlines())  # an upload may be called anything, a message is one line


def _is_headerless(source: Source, name: str) -> bool:
    names = [name, source] if isinstance(source, str | Path) else [name]
    return any(Path(each).suffix.lower() in HEADERLESS for each in names)


def _opened(source: Source, name: str) -> BinaryIO:
    """A seekable file over ``source``."""
    if isinstance(source, bytes):
        return BytesIO(source)
    if not isinstance(source, str | Path):
        return BytesIO(source.read())
    try:
        file = Path(source).open("rb")  # noqa: SIM115  the caller closes it
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else error
        raise AudioError(f"{name}: cannot be opened ({why}); check path and permissions") from error
    if file.seekable():
        return file
    with file:  # a pipe
        return BytesIO(file.read())


def _size(file: BinaryIO) -> int:
    return file.seek(0, SEEK_END)


def _cut_short(name: str, how: str) -> AudioError:
    return AudioError(f"{name}: cut short or damaged: {how}; copy, download or record it again")


def _checked_rate(rate: int, name: str) -> int:
    if rate not in SAMPLE_RATES:
        raise _cut_short(name, f"its header claims a sampling rate of {rate} Hz")
    return rate


def _mixed(samples: Samples) -> Samples:
    """(N, channels) -> (N,), the mean of the channels."""
    mono: Samples = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    return mono


# libsndfile: wav, flac, ogg, opus, mp3 and headerless PCM


def _soundfile(file: BinaryIO, name: str, headerless: bool) -> Any:
    """``file`` as a `soundfile.SoundFile`, or None where libsndfile cannot read all of it."""
    size = _size(file)
    if not size:
        raise AudioError(f"{name}: the file is empty; copy, download or record it again")
    file.seek(0)
    if headerless:
        layout = {"format": "RAW", "subtype": "PCM_16", "endian": "LITTLE"}
        return soundfile.SoundFile(file, samplerate=SAMPLE_RATE, channels=1, **layout)
    head = file.read(4)
    end = _ogg_end(file) if head == b"OggS" else _mp3_end(file)
    if end and end > size:
        raise _cut_short(name, f"it promises {end} bytes and has {size}")
    # libsndfile guesses the length of untagged MP3 and stops there, even if more is to come. A tag
    # that covers less than the file belongs to the first of several that were joined. And whatever
    # libsndfile does not know it takes for MP3, and complains on standard error when it is not.
    if head not in MAGIC and not (end and end > 0.98 * size):
        return None
    file.seek(0)
    try:
        sound = soundfile.SoundFile(file)
    except soundfile.LibsndfileError:
        return None
    # A data chunk longer than the file is shortened silently, but for this line of the log.
    shortened = re.search(
        r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", sound.extra_info
    )
    if shortened:
        promised, present = map(int, shortened.groups())
        if present < promised < 0x7FFFF000:  # from there on: written to a pipe, length unknown
            raise _cut_short(name, f"it promises {promised} bytes of sound and has {present}")
    return sound


def _ogg_end(file: BinaryIO) -> int:
    """Where the last page of an Ogg file ends, in bytes. RFC 3533."""
    start = file.seek(max(0, _size(file) - 65_307))  # the largest page
    tail = file.read()
    at = max(0, tail.rfind(b"OggS"))
    page = tail[at:].ljust(27, b"\0")
    return start + at + 27 + page[26] + sum(page[27 : 27 + page[26]])


def _mp3_end(file: BinaryIO) -> int | None:
    """Where an MP3 ends according to its Xing tag, in bytes; None without one."""
    file.seek(0)
    head = file.read(10)
    start = 0
    if head.startswith(b"ID3") and len(head) == 10:  # its size is four times seven bits
        start = 10 + sum(
            byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )
    file.seek(start)
    frame = file.read(64)
    tag = max(frame.find(b"Xing"), frame.find(b"Info"))
    if not frame.startswith(b"\xff") or tag < 0 or len(frame) < tag + 16 or not frame[tag + 7] & 2:
        return None
    at = tag + 8 + 4 * (frame[tag + 7] & 1)
    # Encoders disagree on what to count; mpg123 grants 1 % as well.
    return start + int(0.99 * int.from_bytes(frame[at : at + 4], "big"))


def _decode_soundfile(sound: Any, name: str) -> Decoded:
    rate = _checked_rate(sound.samplerate, name)
    try:
        samples: Samples = sound.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, MemoryError) as error:  # a header may promise terabytes
        raise _cut_short(name, f"the {sound.format} decoder gave up") from error
    promised, present = sound.frames / rate, len(samples) / rate
    if promised - present > SLACK:
        raise _cut_short(name, f"it promises {promised:.2f} s and has {present:.2f} s")
    return _mixed(samples), rate, sound.channels, f"{sound.format} ({sound.subtype_info})"


# libav: every other container with an audio stream


@contextmanager
def _container(file: BinaryIO, name: str) -> Iterator[InputContainer]:
    file.seek(0)
    try:
        # No protocol: what an upload names, as playlists do, must not be opened. Titles in Korean
        # files are often CP949, on which the strict reading of tags fails.
        options = {"protocol_whitelist": "none"}
        container = av.open(file, "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(
            f"{name}: not a recording, or a damaged one; give wav, flac, ogg, opus, mp3, m4a, mp4, "
            "webm or amr, or headerless 16-bit mono PCM at 16 kHz named .pcm or .raw"
        ) from error
    with container:
        if not any(stream.codec_context for stream in container.streams.audio[:1]):
            raise AudioError(f"{name}: holds no sound of a known kind; give a recording")
        yield container


def _promised_seconds(container: InputContainer) -> float | None:
    """Length by the header; None where libav estimates it or a longer stream may have set it."""
    stream = container.streams.audio[0]
    if "mp4" in container.format.name and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if "webm" in container.format.name and container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _decode_container(file: BinaryIO, name: str) -> Decoded:
    with _container(file, name) as container:
        stream = container.streams.audio[0]
        rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
        pieces = [np.empty(0, np.float32)]
        as_float = av.AudioResampler(format="fltp")
        try:
            for frame in container.decode(stream):
                # The decoder knows better than the header: HE-AAC doubles rate and channels.
                rate, channels = frame.sample_rate, frame.layout.nb_channels
                parts = (part.to_ndarray() for part in as_float.resample(frame))
                pieces.extend(_mixed(part.T.astype(np.float32)) for part in parts)
        except (av.FFmpegError, ValueError) as error:
            seconds = sum(map(len, pieces)) / _checked_rate(rate, name)
            raise _cut_short(name, f"the decoder gave up after {seconds:.2f} s") from error
        promised = _promised_seconds(container) or 0.0
        codec = f"{stream.codec_context.name} out of {container.format.long_name}"
    mono = np.concatenate(pieces)
    present = len(mono) / _checked_rate(rate, name)
    if promised - present > SLACK:
        raise _cut_short(name, f"it promises {promised:.2f} s and has {present:.2f} s")
    return mono, rate, channels, codec
