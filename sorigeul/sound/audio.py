"""Decodes any recording to float32 at 16 kHz, block by block, and lists the steps it took.

The samples are on the time line of a player: sample n is heard n / 16,000 s after the start. Does
not know about features, transcripts or tensors.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Protocol

import numpy as np
import numpy.typing as npt
import soxr

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import CHANNELS, SAMPLING_RATE, check_ranges
from sorigeul.sound import signatures
from sorigeul.sound.channels import CHOICES, Mixer, is_choice, output_channels
from sorigeul.sound.container_length import missing_bytes
from sorigeul.sound.headerless import HeaderlessDecoder, named_headerless
from sorigeul.sound.joined_recordings import joined_recordings
from sorigeul.sound.libsndfile import LibsndfileDecoder, open_sound_file
from sorigeul.sound.source import (
    AudioError,
    InputFile,
    Pipe,
    Source,
    copied,
    display_name,
    first_bytes,
    open_source,
)
from sorigeul.sound.values import ValueCheck

__all__ = [
    "SAMPLE_RATE",
    "AudioError",
    "AudioOptions",
    "AudioStream",
    "Recording",
    "Samples",
    "Source",
    "load",
    "load_part",
    "open_stream",
    "probe",
]

SAMPLE_RATE = 16_000  # Hz, of all audio that comes out
# Half a step of 16-bit audio, where full scale is 1. The samples of any real recording span more.
_SILENCE_PEAK_TO_PEAK = 2.0**-16
_PART_TOLERANCE = 0.1  # seconds by which a recording may end before a part of it

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AudioOptions:
    """Which part of a recording is heard."""

    channel: str = "auto"
    """auto (all mixed, without silent ones and with opposite phases turned), left, right, each, mix
    (the plain mean), or the number of one from 1"""
    track: str = ""
    """of several audio tracks: a number from 1 or a language such as kor or en; empty for the
    Korean one, else the default one, else the first"""
    pcm_rate: Annotated[int, SAMPLING_RATE] = SAMPLE_RATE
    """sampling rate of headerless PCM in Hz"""
    pcm_channels: Annotated[int, CHANNELS] = 1
    """number of interleaved channels of headerless PCM"""

    def __post_init__(self) -> None:
        if not is_choice(self.channel):
            raise UserError(f"channel is {self.channel}; give one of {', '.join(CHOICES)}")
        check_ranges(self)


@dataclass(frozen=True, eq=False)
class Recording:
    """Audio in the form that features are computed from.

    ``samples``: float32 (N,), mono, 16 kHz, full scale 1. ``account``: the steps from the file to
    these samples, such as ``resampled from 44100 Hz to 16000 Hz``. ``rate``: of the file, in Hz.
    """

    samples: Samples
    account: tuple[str, ...]
    rate: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE


class _Decoder(Protocol):
    """A recording as decoded, before mixing and resampling."""

    rate: int
    """sampling rate in Hz; right once the first block is decoded, as is ``channels``"""
    channels: int
    seconds: float | None
    """duration by the header, None if it does not say or is not reliable"""

    @property
    def account(self) -> list[str]:
        """The steps taken so far."""

    def __iter__(self) -> Iterator[Samples]:
        """Blocks of samples, float32 (channels, n)."""

    def skip(self, samples: int) -> int:
        """Leave out so many samples at the start if that changes no other; return how many."""


class AudioStream:
    """An open recording, decoded block by block. It can be iterated over once.

    ``channels``: the names of the streams of a block: one without a name, or, for ``each``, one for
    every channel of the recording.
    """

    def __init__(
        self, decoder: _Decoder, file: InputFile | Pipe, name: str, options: AudioOptions
    ) -> None:
        self._decoder, self._name, self._file = decoder, name, file
        blocks = file.decoded(decoder, name)
        self._blocks = chain([first] if (first := next(blocks, None)) is not None else [], blocks)
        if options.channel.isdecimal() and float(options.channel) > decoder.channels:
            raise AudioError(f"{name}: has no channel {options.channel}, but {decoder.channels}")
        self._values = ValueCheck(decoder.rate, name)
        self._mixer = Mixer(options.channel, decoder.channels, decoder.rate)
        self.channels = output_channels(options.channel, decoder.channels)
        self._about_file: list[str] = []

    @property
    def rate(self) -> int:
        """The sampling rate of the file in Hz."""
        return self._decoder.rate

    @property
    def account(self) -> tuple[str, ...]:
        """The steps from the file to the samples; complete once the iteration has ended."""
        steps = [*self._decoder.account, *self._about_file]
        steps += [*self._values.account, *self._mixer.account]
        if self._decoder.rate != SAMPLE_RATE:
            steps.append(f"resampled from {self._decoder.rate} Hz to {SAMPLE_RATE} Hz")
        return tuple(steps)

    def __iter__(self) -> Iterator[Samples]:
        """Yield float32 (C, n) at 16 kHz for the C channels.

        Raises AudioError, at the latest after the last block, if the recording is damaged, silent
        or empty.
        """
        count, lowest, highest = 0, np.inf, -np.inf
        resampler = _Resampler(self._decoder.rate, len(self.channels))
        for block in self._mixer.mixed(self._values.checked(self._blocks)):
            lowest = np.minimum(lowest, block.min(axis=1))
            highest = np.maximum(highest, block.max(axis=1))
            resampled = resampler.resample(block)
            if resampled.size:
                count += resampled.shape[1]
                yield resampled
        rest = resampler.finish()
        if rest.size:
            count += rest.shape[1]
            yield rest
        if isinstance(self._file, InputFile):
            self._about_file = _unread(self._file)
        if not count:
            raise AudioError(
                f"{self._name}: holds no sound, only a header; record or export it again"
            )
        if np.max(highest - lowest) < _SILENCE_PEAK_TO_PEAK:
            raise AudioError(
                f"{self._name}: holds only silence; check the microphone or the channel it used"
            )


def _unread(file: InputFile) -> list[str]:
    """What the header of a decoded file promises and the file does not have, or more than that."""
    steps = []
    head = first_bytes(file)
    if missing := missing_bytes(head, file.size):
        steps.append("the file ends early, of {:,} bytes it has {:,}".format(*missing))
    if (joined := joined_recordings(file, head)) is not None:
        steps.append(str(joined))
    return steps


class _Resampler:
    """Blocks (C, n) at any rate to blocks at 16 kHz; the same samples however they are cut."""

    def __init__(self, rate: int, channels: int) -> None:
        self._stream = None
        self._empty = np.empty((channels, 0), np.float32)
        if rate not in (SAMPLE_RATE, 0):  # 0: nothing was decoded
            self._stream = soxr.ResampleStream(
                rate, SAMPLE_RATE, channels, dtype="float32", quality="HQ"
            )

    def resample(self, block: Samples, last: bool = False) -> Samples:
        """Return the samples that are complete by now."""
        if self._stream is None:
            return block
        resampled = self._stream.resample_chunk(np.ascontiguousarray(block.T), last=last)
        return np.ascontiguousarray(resampled.T)

    def finish(self) -> Samples:
        """Return the samples that waited for more input."""
        return self.resample(self._empty, last=True)


_DEFAULT = AudioOptions()


@contextmanager
def open_stream(
    source: Source, name: str | None = None, options: AudioOptions = _DEFAULT
) -> Iterator[AudioStream]:
    """Open a recording to decode it block by block, in constant memory.

    ``source`` is a path, the bytes of a file, or a binary file object; a pipe is decoded as its
    bytes come. Messages call it ``name``. The format is detected from the content; only headerless
    PCM is recognised by the extension of the path or of ``name``.

    Raises:
        AudioError: if the recording is missing, empty, not audio, or lacks the track.
    """
    name = display_name(source, name)
    with _open_decoder(source, name, options) as (decoder, file):
        yield AudioStream(decoder, file, name, options)


@contextmanager
def _open_decoder(
    source: Source, name: str, options: AudioOptions
) -> Iterator[tuple[_Decoder, InputFile | Pipe]]:
    with open_source(source, name) as file:
        head = first_bytes(file)
        if not head:
            raise AudioError(f"{name}: the file is empty; copy, download or record it again")
        if named_headerless(source, name) and not signatures.has_header(head):
            _check_only_track(options.track, name)
            yield HeaderlessDecoder(file, name, options.pcm_rate, options.pcm_channels), file
            return
        if isinstance(file, Pipe) and not signatures.can_stream(head):
            file = copied(file, name)
        sound_file = None
        if not isinstance(file, Pipe):
            sound_file = open_sound_file(file, head, name)
            # libsndfile ignores the time stamps of Ogg, and a paused browser recording has holes.
            if sound_file is not None and b"OpusHead" in head[:64] and _has_gaps(file, name):
                sound_file = None
        if sound_file is not None:
            _check_only_track(options.track, name)
            with sound_file:
                yield LibsndfileDecoder(sound_file, name), file
            return
        from sorigeul.sound.libav import LibavDecoder, open_container  # a tenth of a second

        with open_container(file, name) as container:
            yield LibavDecoder(container, name, options.track), file


def _has_gaps(file: InputFile, name: str) -> bool:
    from sorigeul.sound.libav import has_gaps

    return has_gaps(file, name)


def _check_only_track(track: str, name: str) -> None:
    if track not in ("", "1"):
        raise AudioError(f"{name}: has no track {track}; it has only one, without a language")


def load(source: Source, name: str | None = None, options: AudioOptions = _DEFAULT) -> Recording:
    """Read a whole recording, as `open_stream` does, into one channel.

    Raises:
        AudioError: if the recording is missing, empty, truncated, not audio or silent, or holds
            many values that are not finite.
    """
    if options.channel == "each":
        raise UserError("channel each gives several recordings, and one is needed; give another")
    with open_stream(source, name, options) as stream:
        blocks = [block[0] for block in stream]
        samples = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        return Recording(samples, stream.account, stream.rate)


def load_part(
    source: Source,
    start: float,
    seconds: float,
    name: str | None = None,
    options: AudioOptions = _DEFAULT,
) -> Recording:
    """As `load`, but only ``seconds`` of the recording from ``start`` on; what follows is not read.

    Raises AudioError also if the recording ends before, or only this part of it is silent.
    """
    name = display_name(source, name)
    first, end = round(start * SAMPLE_RATE), round((start + seconds) * SAMPLE_RATE)
    blocks, count = [], 0
    with _open_decoder(source, name, options) as (decoder, file):
        # What precedes matters to a resampler, and to what is decided of several channels.
        if decoder.rate == SAMPLE_RATE and decoder.channels == 1:
            count = decoder.skip(first)
        if count and decoder.seconds is not None:
            _check_part(start + seconds, decoder.seconds, name)
        stream = AudioStream(decoder, file, name, options)
        for (block,) in stream:
            blocks.append(block[max(first - count, 0) : max(end - count, 0)])
            count += len(block)
            if count >= end:
                break
        account = (*stream.account, f"took {seconds:.2f} s from {start:.2f} s on")
    if count < end:
        _check_part(start + seconds, count / SAMPLE_RATE, name)
    samples = np.concatenate(blocks)
    if not samples.size or np.ptp(samples) < _SILENCE_PEAK_TO_PEAK:
        raise AudioError(f"{name}: holds only silence from {start:.2f} s on for {seconds:.2f} s")
    return Recording(samples, account, stream.rate)


def _check_part(end: float, seconds: float, name: str) -> None:
    """Raise AudioError if a recording of so many seconds has no part up to ``end``."""
    if end - seconds > _PART_TOLERANCE:
        raise AudioError(f"{name}: is {seconds:.2f} s long, and has no part up to {end:.2f} s")


def probe(source: Source, name: str | None = None) -> float:
    """Return the duration in seconds, from the header if it is reliable, else by decoding.

    Raises `AudioError` as `load` does, but checks the samples only if it has to decode them.
    """
    name = display_name(source, name)
    with _open_decoder(source, name, _DEFAULT) as (decoder, file):
        if decoder.seconds:
            return decoder.seconds
        stream = AudioStream(decoder, file, name, _DEFAULT)
        return sum(len(block[0]) for block in stream) / SAMPLE_RATE
