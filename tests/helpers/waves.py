"""Audio encoded in files of many formats, and the error message for a file that is refused."""

import io
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr

from sorigeul.sound.audio import SAMPLE_RATE, AudioError, load

Wave = npt.NDArray[np.float32]


def wave(seconds: float = 2.0, rate: int = SAMPLE_RATE, shift: float = 0.0) -> Wave:
    """Samples (N,) of a tone of rising pitch and varying loudness, whose phase `shift` moves.

    It has no frequency above 3.4 kHz, the limit of AMR, and differs from itself at every delay.
    """
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (300 * time + 100 * time**2 + shift)
    loudness = 0.4 * (1 + np.sin(9 * time)) * 0.5
    return (loudness * np.sin(phase) + 0.1 * np.sin(2.7 * phase)).astype(np.float32)


def with_soundfile(
    samples: Wave, rate: int = SAMPLE_RATE, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    """Encode samples (N,) or (N, channels) with libsndfile; `kind` is its name for the format."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def with_libav(
    path: Path, codec: str, rate: int, samples: Wave | None = None, **options: str
) -> bytes:
    """Encode samples (N,) or (N, channels) at 16 kHz with libav, and return the bytes of the file.

    The extension of `path` decides on the container. Without samples, `wave` is encoded.
    """
    samples = wave() if samples is None else samples
    layout = "mono" if samples.ndim == 1 else "stereo"
    resampled = soxr.resample(samples, SAMPLE_RATE, rate).reshape(-1)
    pcm = np.clip(resampled * 32767, -32768, 32767).astype(np.int16)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for frame_or_end in (frame, None):  # None flushes the encoder
            for packet in stream.encode(frame_or_end):
                container.mux(packet)
    return path.read_bytes()


def refused(source: str | Path | bytes, name: str | None = None) -> str:
    """The error message of `source`: one line with its name, the fault and the remedy."""
    with pytest.raises(AudioError) as error:
        load(source, name)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(f"{name or source}: ")
    assert ";" in message, "the remedy follows after a semicolon"
    return message
