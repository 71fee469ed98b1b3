"""Decodes any recording to float32 at 16 kHz, block by block, and lists the steps it took.

The samples are on the time line of a player: sample n is heard n / 16,000 s after the start. Does
not know about features, transcripts or tensors.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
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
    "PART_TOLERANCE",
    "SAMPLE_RATE",
    "AudioError",
    "AudioOptions",
    "AudioStream",
    "PartReader",
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
PART_TOLERANCE = 0.1
"""seconds by which a recording may end before a part of it"""

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
    ``repairs``: the steps of the account that left out or changed what is damaged.
    """

    samples: Samples
    account: tuple[str, ...]
    rate: int
    repairs: tuple[str, ...] = ()

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

    @property
    def repairs(self) -> list[str]:
        """The steps of the account that left out what is damaged."""

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

    @property
    def repairs(self) -> tuple[str, ...]:
        """The steps of the account that left out or changed what is damaged; complete as it is."""
        return (*self._decoder.repairs, *self._about_file, *self._values.account)

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
        return Recording(samples, stream.account, stream.rate, stream.repairs)


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
    with closing(PartReader(source, name, options)) as parts:
        return parts.read(start, seconds)


class PartReader:
    """Reads parts of a recording; those that come in their order are decoded in one go.

    What precedes a part matters to a resampler, and to what is decided of several channels. So it
    is decoded too, except at 16 kHz in one channel where the decoder can go to any sample.
    """

    def __init__(
        self, source: Source, name: str | None = None, options: AudioOptions = _DEFAULT
    ) -> None:
        self._source, self._options = source, options
        self.name = display_name(source, name)
        self._open_file = ExitStack()
        self._stream: AudioStream | None = None
        """None: the next part is not decoded further from here"""
        self._blocks: Iterator[Samples] = iter(())
        self._kept: list[tuple[int, Samples]] = []
        """blocks (n,) from the start of the last part on, and the number of their first sample"""
        self._is_seekable = False
        self._first = self._end = self._count = 0
        """first sample and end of the last part; samples that have been decoded"""

    @cached_property
    def duration(self) -> float:
        """Of the whole recording in seconds, as `probe` returns it."""
        return probe(self._source, self.name)

    def read(self, start: float, seconds: float) -> Recording:
        """Return ``seconds`` of the recording from ``start`` on, as `load_part` does."""
        first, end = round(start * SAMPLE_RATE), round((start + seconds) * SAMPLE_RATE)
        stream = self._stream
        # A part that ends before the last one would not be the same: the account has gone further.
        if stream is None or first < self._first or end < self._end:
            stream = self._open(first, start + seconds)
        self._first, self._end, self._stream = first, end, None  # None as long as it may fail
        self._kept = [(begin, block) for begin, block in self._kept if begin + len(block) > first]
        while self._count < end and (blocks := next(self._blocks, None)) is not None:
            self._kept.append((self._count, blocks[0]))
            self._count += len(blocks[0])
        if self._count < end:
            _check_part(start + seconds, self._count / SAMPLE_RATE, self.name)
        self._stream = None if self._is_seekable else stream
        samples = np.concatenate(
            [
                np.empty(0, np.float32),
                *(
                    block[max(first - begin, 0) : max(end - begin, 0)]
                    for begin, block in self._kept
                ),
            ]
        )
        if not samples.size or np.ptp(samples) < _SILENCE_PEAK_TO_PEAK:
            raise AudioError(
                f"{self.name}: holds only silence from {start:.2f} s on for {seconds:.2f} s"
            )
        account = (*stream.account, f"took {seconds:.2f} s from {start:.2f} s on")
        return Recording(samples, account, stream.rate, stream.repairs)

    def _open(self, first: int, end: float) -> AudioStream:
        """Begin at the start of the recording, or at the sample ``first``."""
        self.close()
        decoder, file = self._open_file.enter_context(
            _open_decoder(self._source, self.name, self._options)
        )
        is_as_needed = decoder.rate == SAMPLE_RATE and decoder.channels == 1
        self._count = decoder.skip(first) if is_as_needed else 0
        if self._count and decoder.seconds is not None:
            _check_part(end, decoder.seconds, self.name)
        self._is_seekable = is_as_needed and self._count == first
        stream = AudioStream(decoder, file, self.name, self._options)
        self._blocks, self._kept = iter(stream), []
        return stream

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        self._stream = None
        self._open_file.close()


def _check_part(end: float, seconds: float, name: str) -> None:
    """Raise AudioError if a recording of so many seconds has no part up to ``end``."""
    if end - seconds > PART_TOLERANCE:
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
