"""Sound as files of every format, and what is said where it is refused."""

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
    """A gliding, fading tone below 3.4 kHz (AMR carries no more), unlike itself at every delay."""
    time = np.arange(round(seconds * rate)) / rate
    glide = 2 * np.pi * (300 * time + 100 * time**2 + shift)
    return (0.4 * (1 + np.sin(9 * time)) * 0.5 * np.sin(glide) + 0.1 * np.sin(2.7 * glide)).astype(
        np.float32
    )


def with_soundfile(
    samples: Wave, rate: int = SAMPLE_RATE, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def with_libav(
    path: Path, codec: str, rate: int, samples: Wave | None = None, **options: str
) -> bytes:
    """Encode (N, channels) or (N,) samples at 16 kHz with libav, by the extension of ``path``."""
    samples = wave() if samples is None else samples
    layout = "mono" if samples.ndim == 1 else "stereo"
    resampled = soxr.resample(samples, SAMPLE_RATE, rate).reshape(-1)
    pcm = np.clip(resampled * 32767, -32768, 32767).astype(np.int16)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for piece in (frame, None):
            for packet in stream.encode(piece):
                container.mux(packet)
    return path.read_bytes()


def refused(source: str | Path | bytes, name: str | None = None) -> str:
    """The message with which ``source`` is refused: one line that starts with its name."""
    with pytest.raises(AudioError) as caught:
        load(source, name)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{name or source}: ")
    assert ";" in message, "a remedy follows the fault"
    return message
