"""Decodes any recording to float32 mono at 16 kHz and lists the steps it took.

Defines all constants of audio files. Does not know about features, transcripts or tensors.
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

SAMPLE_RATE = 16_000  # Hz, of all audio that `load` returns
_PLAUSIBLE_RATES = range(1_000, 1_000_001)  # Hz; a header that claims another one is damaged
# Half a step of 16-bit audio, where full scale is 1. The samples of any real recording span more.
_SILENCE_PEAK_TO_PEAK = 2.0**-16
# Lossy formats store whole frames, so a file may be this many seconds shorter than its header says.
_DURATION_TOLERANCE = 0.1
# As in KsponSpeech: 16 kHz, signed 16-bit little-endian, mono.
_HEADERLESS_EXTENSIONS = {".pcm", ".raw"}
# First bytes of the formats that libsndfile reads reliably.
_LIBSNDFILE_MAGIC = {b"RIFF", b"RF64", b"riff", b"FORM", b".snd", b"caff", b"fLaC", b"OggS"}

Samples = npt.NDArray[np.float32]
Source = str | Path | bytes | BinaryIO


class AudioError(UserError):
    """A recording that cannot be used. The message starts with the file's name."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Audio in the form that features are computed from.

    ``samples``: float32 (N,), mono, 16 kHz, full scale 1. ``account``: the steps from the file to
    these samples, such as ``resampled from 44100 Hz to 16000 Hz``.
    """

    samples: Samples
    account: tuple[str, ...]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


@dataclass(frozen=True, eq=False)
class _Decoded:
    """Audio as decoded, before resampling."""

    mono: Samples
    rate: int
    """sampling rate in Hz"""
    channels: int
    """number of channels in the file, whose mean is ``mono``"""
    codec: str


def load(source: Source, name: str | None = None) -> Recording:
    """Read a whole recording.

    ``source`` is a path, the bytes of a file, or a binary file object, which is read to its end.
    Messages call it ``name``. The format is detected from the content; only headerless PCM is
    recognised by the extension of the path or of ``name``.

    Raises:
        AudioError: if the recording is missing, empty, truncated, not audio or silent, or contains
            a NaN or an infinity.
    """
    name = _display_name(source, name)
    headerless = _is_headerless(source, name)
    with _open_source(source, name) as file:
        sound_file = _open_with_libsndfile(file, name, headerless)
        if sound_file is None:
            decoded = _decode_with_libav(file, name)
        else:
            decoded = _decode_with_libsndfile(sound_file, name)
        account = [f"decoded {decoded.codec}"]
        if headerless and _size(file) % 2:  # e.g. KsponSpeech_E02262.pcm
            account.append("dropped the odd last byte")
    if decoded.channels > 1:
        account.append(f"mixed {decoded.channels} channels down to one")
    samples = decoded.mono
    if not np.isfinite(samples).all():
        seconds = np.flatnonzero(~np.isfinite(samples))[0] / decoded.rate
        raise AudioError(
            f"{name}: holds values that are not numbers (NaN or infinite), the first at "
            f"{seconds:.2f} s; export it again, as 16-bit wav for example"
        )
    if decoded.rate != SAMPLE_RATE:
        samples = soxr.resample(decoded.mono, decoded.rate, SAMPLE_RATE, quality="HQ")
        account.append(f"resampled from {decoded.rate} Hz to {SAMPLE_RATE} Hz")
    if not len(samples):
        raise AudioError(f"{name}: holds no sound, only a header; record or export it again")
    if np.ptp(decoded.mono) < _SILENCE_PEAK_TO_PEAK:
        raise AudioError(f"{name}: holds only silence; check the microphone or the channel it used")
    return Recording(samples, tuple(account))


def probe(path: str | Path) -> float:
    """Return the duration in seconds, from the header if it is reliable, else by decoding.

    Raises `AudioError` as `load` does, but checks the samples only if it has to decode them.
    """
    name = _display_name(path, None)
    with _open_source(path, name) as file:
        sound_file = _open_with_libsndfile(file, name, _is_headerless(path, name))
        if sound_file is None:
            with _open_container(file, name) as container:
                seconds = _declared_seconds(container)
        else:
            seconds = sound_file.frames / _checked_rate(sound_file.samplerate, name)
    return seconds or load(path).duration


def _display_name(source: Source, name: str | None) -> str:
    if name is None:
        path = source if isinstance(source, str | Path) else getattr(source, "name", None)
        name = str(path) if isinstance(path, str | Path) else "recording"
    # The name of an upload may contain line breaks, but a message is one line.
    return " ".join(name.splitlines())


def _is_headerless(source: Source, name: str) -> bool:
    paths = [name, source] if isinstance(source, str | Path) else [name]
    return any(Path(path).suffix.lower() in _HEADERLESS_EXTENSIONS for path in paths)


def _open_source(source: Source, name: str) -> BinaryIO:
    """Return a seekable file with the bytes of ``source``."""
    if isinstance(source, bytes):
        return BytesIO(source)
    if not isinstance(source, str | Path):
        return BytesIO(source.read())
    try:
        file = Path(source).open("rb")  # noqa: SIM115  the caller closes it
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise AudioError(
            f"{name}: cannot be opened ({reason}); check path and permissions"
        ) from error
    if file.seekable():
        return file
    with file:  # a pipe
        return BytesIO(file.read())


def _size(file: BinaryIO) -> int:
    return file.seek(0, SEEK_END)


def _damaged(name: str, reason: str) -> AudioError:
    return AudioError(f"{name}: cut short or damaged: {reason}; copy, download or record it again")


def _checked_rate(rate: int, name: str) -> int:
    if rate not in _PLAUSIBLE_RATES:
        raise _damaged(name, f"its header claims a sampling rate of {rate} Hz")
    return rate


def _check_duration(declared: float, actual: float, name: str) -> None:
    """Refuse a recording that is shorter than its header declares; both in seconds."""
    if declared - actual > _DURATION_TOLERANCE:
        raise _damaged(name, f"it promises {declared:.2f} s and has {actual:.2f} s")


def _mix_to_mono(samples: Samples) -> Samples:
    """(N, channels) -> (N,), the mean of the channels."""
    mono: Samples = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    return mono


# libsndfile: wav, flac, ogg, opus, mp3 and headerless PCM


def _open_with_libsndfile(file: BinaryIO, name: str, headerless: bool) -> Any:
    """Return a `soundfile.SoundFile`, or None if libsndfile cannot read the whole file."""
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
        raise _damaged(name, f"it promises {end} bytes and has {size}")
    # For an MP3 without a tag, libsndfile guesses the length and stops there, even if more follows.
    # A tag that covers less than the file belongs to the first of several joined MP3s. libsndfile
    # also takes every unknown format for MP3, and prints to standard error if it is not.
    if head not in _LIBSNDFILE_MAGIC and not (end and end > 0.98 * size):
        return None
    file.seek(0)
    try:
        sound_file = soundfile.SoundFile(file)
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
            raise _damaged(name, f"it promises {declared} bytes of sound and has {actual}")
    return sound_file


def _ogg_end(file: BinaryIO) -> int:
    """Return the byte offset at which the last page of an Ogg file ends (RFC 3533)."""
    start = file.seek(max(0, _size(file) - 65_307))  # the size of the largest page
    tail = file.read()
    page_start = max(0, tail.rfind(b"OggS"))
    page = tail[page_start:].ljust(27, b"\0")
    return start + page_start + 27 + page[26] + sum(page[27 : 27 + page[26]])


def _mp3_end(file: BinaryIO) -> int | None:
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


def _decode_with_libsndfile(sound_file: Any, name: str) -> _Decoded:
    rate = _checked_rate(sound_file.samplerate, name)
    try:
        samples: Samples = sound_file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, MemoryError) as error:  # a header may declare terabytes
        raise _damaged(name, f"the {sound_file.format} decoder gave up") from error
    _check_duration(sound_file.frames / rate, len(samples) / rate, name)
    codec = f"{sound_file.format} ({sound_file.subtype_info})"
    return _Decoded(_mix_to_mono(samples), rate, sound_file.channels, codec)


# libav: every other container with an audio stream


@contextmanager
def _open_container(file: BinaryIO, name: str) -> Iterator[InputContainer]:
    file.seek(0)
    try:
        # No protocol is allowed: an uploaded playlist must not make libav open other files. Tags of
        # Korean files are often in CP949, which strict decoding of the tags would refuse.
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


def _declared_seconds(container: InputContainer) -> float | None:
    """Return the duration of the audio by the header, None if the header is not reliable.

    libav may have estimated it, or it may be that of a longer stream, such as the video.
    """
    stream = container.streams.audio[0]
    if "mp4" in container.format.name and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if "webm" in container.format.name and container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return None


def _decode_with_libav(file: BinaryIO, name: str) -> _Decoded:
    with _open_container(file, name) as container:
        stream = container.streams.audio[0]
        rate, channels = stream.codec_context.sample_rate, stream.codec_context.channels
        decoded_frames = [np.empty(0, np.float32)]
        to_float = av.AudioResampler(format="fltp")
        try:
            for frame in container.decode(stream):
                # The header may be wrong: HE-AAC doubles rate and channels when decoded.
                rate, channels = frame.sample_rate, frame.layout.nb_channels
                for float_frame in to_float.resample(frame):
                    samples = float_frame.to_ndarray().T.astype(np.float32)
                    decoded_frames.append(_mix_to_mono(samples))
        except (av.FFmpegError, ValueError) as error:
            seconds = sum(map(len, decoded_frames)) / _checked_rate(rate, name)
            raise _damaged(name, f"the decoder gave up after {seconds:.2f} s") from error
        declared = _declared_seconds(container) or 0.0
        codec = f"{stream.codec_context.name} out of {container.format.long_name}"
    mono = np.concatenate(decoded_frames)
    _check_duration(declared, len(mono) / _checked_rate(rate, name), name)
    return _Decoded(mono, rate, channels, codec)
