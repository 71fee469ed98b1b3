"""What recorders, telephones and codecs do to speech, which keeps its length and its time."""

from io import BytesIO
from typing import Any, NamedTuple, cast

import av
import numpy as np
import numpy.typing as npt
import soxr

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.noises import fast_fft_size

_Spectrum = npt.NDArray[np.complexfloating[Any, Any]]

_TELEPHONE_BAND = (300.0, 3400.0)  # Hz
_TELEPHONE_SLOPE = 100.0  # Hz from full to nothing
_MU = 255.0  # G.711


class _Codec(NamedTuple):
    encoder: str
    """name of the encoder in libav"""
    container: str
    rate: int
    """Hz"""
    sample_format: str
    delay: int
    """samples at `rate` that are too many at the beginning of what is decoded"""
    options: dict[str, str]


# The containers of mp3 and opus say how much the decoder must drop. That of AMR does not: the
# encoder looks 5 ms ahead. Encoders work as hard as one in a telephone does: at their defaults they
# take two to four times as long.
_CODECS = {
    "mp3": _Codec("libmp3lame", "mp3", SAMPLE_RATE, "fltp", 0, {"compression_level": "7"}),
    "opus": _Codec("libopus", "ogg", SAMPLE_RATE, "flt", 0, {"compression_level": "5"}),
    "amr": _Codec("libopencore_amrnb", "amr", 8_000, "s16", 40, {}),
}


def telephone(samples: Samples) -> Samples:
    """Samples (N,) through a telephone line: 300 to 3400 Hz, 8 kHz, 8 bits by the mu-law (G.711).

    The band is cut before the line and after it, so that the noise of 8 bits is in the band too.
    """
    size = fast_fft_size(len(samples))
    spectrum = _telephone_band(np.fft.rfft(samples, size), size)
    line = np.fft.irfft(spectrum[: size // 4 + 1], size // 2) / 2  # 8 kHz
    line = np.clip(line, -1, 1)
    compressed = np.sign(line) * np.log1p(_MU * np.abs(line)) / np.log1p(_MU)
    steps = np.round(127 * compressed) / 127
    line = np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(_MU)) / _MU
    received = np.zeros(size // 2 + 1, np.complex64)
    received[: size // 4 + 1] = np.fft.rfft(line)
    heard = np.fft.irfft(_telephone_band(received, size), size) * 2
    return np.asarray(heard[: len(samples)], np.float32)


def _telephone_band(spectrum: _Spectrum, size: int) -> _Spectrum:
    """The spectrum (size / 2 + 1,) at 16 kHz with nothing outside the band of a telephone."""
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    low, high = _TELEPHONE_BAND
    inside = np.minimum(hertz - (low - _TELEPHONE_SLOPE), (high + _TELEPHONE_SLOPE) - hertz)
    return np.asarray(spectrum * np.clip(inside / _TELEPHONE_SLOPE, 0, 1).astype(np.float32))


def through_codec(samples: Samples, name: str, kilobits: float) -> Samples:
    """Samples (N,) encoded and decoded by "mp3", "opus" or "amr", at `kilobits` per second.

    An encoder that has no such rate takes the nearest that it has.
    """
    codec = _CODECS[name]
    pcm = samples if codec.rate == SAMPLE_RATE else soxr.resample(samples, SAMPLE_RATE, codec.rate)
    if codec.sample_format == "s16":
        pcm = (np.clip(pcm, -1, 1) * 32767).astype(np.int16)
    file = BytesIO()
    _encode(pcm, codec, kilobits, file)
    file.seek(0)
    decoded = _decode(file, codec.rate)[codec.delay :]
    if codec.rate != SAMPLE_RATE:
        decoded = soxr.resample(decoded, codec.rate, SAMPLE_RATE)
    return np.pad(decoded[: len(samples)], (0, max(0, len(samples) - len(decoded))))


def _encode(pcm: npt.NDArray[Any], codec: _Codec, kilobits: float, file: BytesIO) -> None:
    """Write samples (N,) at the codec's rate to a file."""
    frame = av.AudioFrame.from_ndarray(pcm[None], format=codec.sample_format, layout="mono")
    frame.sample_rate, frame.pts = codec.rate, 0
    with av.open(file, "w", format=codec.container) as container:
        added = container.add_stream(
            codec.encoder, rate=codec.rate, options=codec.options, layout="mono"
        )
        stream = cast(av.AudioStream, added)
        stream.codec_context.format = av.AudioFormat(codec.sample_format)
        stream.bit_rate = round(1000 * kilobits)
        for frame_or_end in (frame, None):  # None flushes the encoder
            container.mux(stream.encode(frame_or_end))


def _decode(file: BytesIO, rate: int) -> Samples:
    """Samples (N,) at this rate of what a file holds."""
    to_float = av.AudioResampler(format="fltp", layout="mono", rate=rate)
    with av.open(file, "r") as container:
        parts = [
            part.to_ndarray()[0]
            for frame_or_end in (*container.decode(audio=0), None)
            for part in to_float.resample(frame_or_end)
        ]
    return np.concatenate([np.empty(0, np.float32), *parts])


def change_level(samples: Samples, decibels: float) -> Samples:
    """Samples (N,) louder by `decibels`, in the steps of 16 bits: quiet speech loses detail."""
    louder = np.asarray(samples, np.float64) * 10 ** (decibels / 20)
    return (np.clip(np.round(louder * 32768), -32768, 32767) / 32768).astype(np.float32)


def clip(samples: Samples, decibels: float) -> Samples:
    """Samples (N,) without what is louder than their peak less `decibels`."""
    limit = float(np.abs(samples).max()) * 10 ** (-decibels / 20)
    return np.clip(samples, -limit, limit)
