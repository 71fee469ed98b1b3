"""Samples as the files that people send: of every kind, as bytes."""

import io

import av
import numpy as np
import pytest
import soundfile

from sorigeul.sound.audio import SAMPLE_RATE, Samples


def sound_file(samples: Samples, format: str = "WAV", rate: int = SAMPLE_RATE) -> bytes:
    """A file in a format of libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format)
    return file.getvalue()


def container(samples: Samples, format: str, codec: str) -> bytes:
    """A file of libav's, at 48 kHz."""
    file = io.BytesIO()
    with av.open(file, "w", format=format) as output:
        stream = output.add_stream(codec, rate=48_000, layout="mono")
        upsampled = np.repeat(samples, 48_000 // SAMPLE_RATE)[None]
        frame = av.AudioFrame.from_ndarray(upsampled.astype(np.float32), "fltp", "mono")
        frame.sample_rate = 48_000
        frame.pts = 0
        resampler = av.AudioResampler(stream.codec_context.format, "mono", 48_000)
        fifo = av.AudioFifo()
        for part in resampler.resample(frame):
            fifo.write(part)
        size = stream.codec_context.frame_size or 960
        while piece := fifo.read(size, partial=True):
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    return file.getvalue()


def flac_without_length(samples: Samples) -> bytes:
    """FLAC as it comes out of a pipe: its header does not say how long it is."""
    data = bytearray(sound_file(samples, "FLAC"))
    assert data[:4] == b"fLaC"
    data[21] &= 0xF0  # the last 36 bits before the checksum in STREAMINFO, RFC 9639, 8.2
    data[22:26] = bytes(4)
    return bytes(data)


def recordings(samples: Samples) -> dict[str, bytes]:
    """The same sound in the formats that browsers, telephones and recorders write."""
    return {
        "wav": sound_file(samples),
        "mp3": sound_file(samples, "MP3"),
        "m4a": container(samples, "mp4", "aac"),
        "webm": container(samples, "webm", "libopus"),
        "flac without length": flac_without_length(samples),
    }


def monologue(seconds: int) -> Samples:
    """A voice without a pause, by eSpeak NG: to be cut where it is longer than a segment may be."""
    pytest.importorskip("espeakng_loader")
    from sorigeul.synthesis.espeak import Synthesizer

    with Synthesizer() as synthesizer:
        spoken = [
            synthesizer.speak(text, "linda", 200, 50, 50)
            for text in ("우리나라만나요", "어머니나오라네요", "아마내일알려주나요")
        ]
    loud = [np.flatnonzero(np.abs(samples) > 0.02) for samples in spoken]
    trimmed = [samples[at[0] : at[-1]] for samples, at in zip(spoken, loud, strict=True)]
    return np.resize(np.concatenate(trimmed), seconds * SAMPLE_RATE)
