"""Videos and other containers with sound at chosen times, in one or several tracks."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from av.stream import Disposition

from helpers.waves import Wave
from sorigeul.sound.audio import SAMPLE_RATE


@dataclass(frozen=True)
class Track:
    """An audio track: stretches of mono sound at 16 kHz, each with the second where it begins."""

    stretches: Sequence[tuple[float, Wave]]
    codec: str = "aac"
    rate: int = 48_000
    language: str = ""
    disposition: Disposition | None = None


def with_tracks(path: Path, *tracks: Track, video_seconds: float = 0.0) -> Path:
    """Write a container, whose kind the extension of ``path`` decides on."""
    with av.open(str(path), "w") as container:
        packets: list[Any] = []
        # The annotations of PyAV do not tell the kinds of streams apart.
        streams: list[Any] = [
            container.add_stream(track.codec, rate=track.rate, options={"aac_coder": "fast"})
            for track in tracks
        ]
        picture: Any = None
        if video_seconds:
            codec = "flv1" if path.suffix == ".flv" else "mpeg4"
            picture = container.add_stream(codec, rate=5)
            picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        for track, stream in zip(tracks, streams, strict=True):
            stream.layout = "mono"
            if track.language:
                stream.metadata["language"] = track.language
            if track.disposition is not None:
                stream.disposition = track.disposition
            kind = stream.codec_context.format.name
            size = stream.codec_context.frame_size or 960
            to_kind = av.AudioResampler(format=kind)
            for begin, samples in track.stretches:
                wide = soxr.resample(samples, SAMPLE_RATE, track.rate).astype(np.float32)
                for start in range(0, len(wide), size):
                    part = np.ascontiguousarray(wide[None, start : start + size])
                    frame = av.AudioFrame.from_ndarray(part, "fltp", "mono")
                    frame.sample_rate = track.rate
                    frame.time_base = Fraction(1, track.rate)
                    frame.pts = round(begin * track.rate) + start
                    for converted in to_kind.resample(frame):
                        packets += stream.encode(converted)
            packets += stream.encode(None)
        for index in range(round(5 * video_seconds) if picture else 0):
            image = av.VideoFrame(32, 32, "yuv420p")
            image.pts = index
            packets += picture.encode(image)
        if picture:
            packets += picture.encode(None)
        container.mux(sorted(packets, key=lambda one: float((one.dts or 0) * one.time_base)))
    return path
