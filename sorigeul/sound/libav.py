"""Decodes the sound of videos, phones and browsers with libav, on the time line of a player."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from sorigeul.sound.source import AudioError, InputFile, Pipe, check_duration, checked_rate, damaged
from sorigeul.sound.timeline import TOLERANCE, Timeline
from sorigeul.sound.tracks import choose_track, describe

_LONGEST_HOLE = 12 * 3600.0  # s
_LONGEST_BROADCAST_HOLE = 600.0  # s; a broadcast changes its clock from one programme to the next
# libav makes up the time stamps of these from the sizes of packets, and often wrongly.
_WITHOUT_STAMPS = ("avi", "rm")
_WMA_DELAY = 0.1  # s; its decoder returns nothing for the first packets
_BLOCK_SECONDS = 0.25  # longer blocks are faster, and shorter ones come sooner
_FEW_PACKETS = 3  # ... or one in twenty may be damaged; a player skips them


@contextmanager
def open_container(file: InputFile | Pipe, name: str) -> Iterator[InputContainer]:
    """Open a container with at least one audio track that libav can decode."""
    if not isinstance(file, Pipe):
        file.seek(0)
    try:
        # No protocol is allowed: an uploaded playlist must not make libav open other files. Tags of
        # Korean files are often in CP949, which strict decoding of the tags would refuse.
        options = {"protocol_whitelist": "none"}
        with file.calling():
            container = av.open(file, "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(
            f"{name}: not a recording, or a damaged one; give an audio or video file, such as wav, "
            "flac, mp3, m4a, mp4 or webm, or headerless 16-bit PCM named .pcm or .raw"
        ) from error
    with container:
        if not any(stream.codec_context for stream in container.streams.audio):
            raise AudioError(f"{name}: holds no sound of a known kind; give a recording")
        yield container


def has_gaps(file: InputFile, name: str) -> bool:
    """Whether the time stamps of a file have a hole or a step back, or it has several tracks."""
    position = file.tell()
    try:
        with file.calling(), open_container(file, name) as container:
            return len(container.streams) > 1 or _has_gaps(container)
    except IndexError:  # as in `_packets`
        return True
    except (AudioError, av.FFmpegError):
        return False
    finally:
        file.seek(position)


def _has_gaps(container: InputContainer) -> bool:
    end = None
    for packet in container.demux():
        if packet.pts is None or packet.time_base is None:
            continue
        if end is not None and abs(packet.pts * packet.time_base - end) > TOLERANCE:
            return True
        end = (packet.pts + (packet.duration or 0)) * packet.time_base
    return False


class LibavDecoder:
    """The samples of one audio track.

    ``rate`` and ``channels`` are right once the first block is decoded: the header may be wrong.
    HE-AAC doubles both when decoded.
    """

    def __init__(self, container: InputContainer, name: str, track: str) -> None:
        tracks = [stream for stream in container.streams.audio if stream.codec_context]
        chosen = choose_track(tracks, track, name)
        self._stream = tracks[chosen]
        self._container, self._name = container, name
        codec = self._stream.codec_context
        self.rate, self.channels = codec.sample_rate, codec.channels
        declared = self._declared_seconds()
        self.seconds = declared if declared and declared < _LONGEST_HOLE else None
        self._timeline: Timeline | None = None
        self._damaged: list[float] = []
        self._steps = [f"decoded {codec.name} out of {container.format.long_name}"]
        if len(tracks) > 1:
            track_name = f"{chosen + 1} of {len(tracks)} {describe(self._stream)}"
            self._steps.append(f"chose track {track_name}")

    @property
    def account(self) -> list[str]:
        """The steps taken so far."""
        return self._steps + self.repairs + (self._timeline.account if self._timeline else [])

    @property
    def repairs(self) -> list[str]:
        """What was skipped because it is damaged."""
        if not self._damaged:
            return []
        count = f"{len(self._damaged)} damaged packet{'s' * (len(self._damaged) > 1)}"
        return [f"skipped {count}, the first at {self._damaged[0]:.2f} s"]

    def _start(self) -> float:
        """Return the time stamp at which a player starts, in seconds."""
        return (self._container.start_time or 0) / av.time_base

    def _declared_seconds(self) -> float | None:
        """Return the duration of the audio by the header, None if the header is not reliable.

        libav may have estimated it, or it may be that of a longer stream, such as the video.
        """
        stream, container = self._stream, self._container
        if "mp4" in container.format.name and stream.duration and stream.time_base:
            first = float((stream.start_time or 0) * stream.time_base)
            return max(0.0, first - self._start()) + float(stream.duration * stream.time_base)
        if "webm" in container.format.name and container.duration and len(container.streams) == 1:
            return container.duration / av.time_base - max(0.0, self._start())
        return None

    def skip(self, samples: int) -> int:
        """Leave nothing out: times of packets are not exact enough. Returns 0."""
        del samples
        return 0

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        """Blocks of samples, float32 (channels, n)."""
        waiting: list[npt.NDArray[np.float32]] = []
        count = 0
        for block in self._placed_frames():
            waiting.append(block)
            count += block.shape[1]
            if count >= _BLOCK_SECONDS * self.rate:
                yield np.concatenate(waiting, axis=1)
                waiting, count = [], 0
        if waiting:
            yield np.concatenate(waiting, axis=1)
        if self._timeline and not self._timeline.jumps:
            check_duration(self.seconds or 0.0, self._timeline.seconds, self._name)

    def _placed_frames(self) -> Iterator[npt.NDArray[np.float32]]:
        to_float = av.AudioResampler("fltp")
        has_stamps = self._container.format.name not in _WITHOUT_STAMPS
        first_layout = layout = ("", "", 0)  # sample format, channels, rate
        try:
            for frame in self._frames():
                now = (frame.format.name, frame.layout.name, frame.sample_rate)
                if self._timeline is None:
                    self.rate = checked_rate(frame.sample_rate, self._name)
                    self.channels = frame.layout.nb_channels
                    self._timeline = self._new_timeline(frame)
                    first_layout = layout = now
                elif now != layout:  # a broadcast may change from stereo to 5.1, for example
                    layout = now
                    to_float = av.AudioResampler("fltp", first_layout[1], self.rate)
                stamp = _stamp(frame) if has_stamps or not self._timeline.seconds else None
                is_ready = now[0] == "fltp" and layout == first_layout
                for ready in [frame] if is_ready else to_float.resample(frame):
                    samples = ready.to_ndarray().astype(np.float32, copy=False)
                    yield from self._timeline.place(stamp, samples)
                    stamp = None
        except (av.FFmpegError, ValueError) as error:
            seconds = self._timeline.seconds if self._timeline else 0.0
            raise damaged(self._name, f"the decoder gave up after {seconds:.2f} s") from error

    def _new_timeline(self, frame: AudioFrame) -> Timeline:
        # The annotations of PyAV miss that it may be None.
        is_known = cast(int | None, self._container.start_time) is not None
        start = self._start() if is_known else _stamp(frame) or 0.0
        is_broadcast = self._container.format.name in ("mpegts", "mpeg")
        hole = _LONGEST_BROADCAST_HOLE if is_broadcast else _LONGEST_HOLE
        is_wma = self._stream.codec_context.name.startswith("wma")
        return Timeline(self.rate, self.channels, start, hole, _WMA_DELAY if is_wma else 0.0)

    def _packets(self) -> Iterator["Packet[AudioStream]"]:  # not subscriptable when run
        try:
            yield from self._container.demux(self._stream)
        except IndexError:
            # At the end of a file, PyAV looks for a stream that began after the file was opened.
            return

    def _frames(self) -> Iterator[AudioFrame]:
        """The decoded frames. A few packets that cannot be decoded are skipped, as players do."""
        count, failure = 0, None
        for packet in self._packets():
            count += 1
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                failure = error
                self._damaged.append(self._timeline.seconds if self._timeline else 0.0)
                if len(self._damaged) > max(_FEW_PACKETS, count / 20):
                    raise
                continue
            if packet.size:  # not the empty packet at the end
                failure = None
            yield from frames
        if failure:  # the last packet: the file was cut within it
            raise failure


def _stamp(frame: AudioFrame) -> float | None:
    """Return the time stamp of a frame in seconds, None if it has none."""
    if frame.pts is None or frame.time_base is None:
        return None
    return float(frame.pts * frame.time_base)
