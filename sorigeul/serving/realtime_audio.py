"""Decodes the audio of the Realtime protocol: base64 in pieces to samples at 16 kHz."""

import base64
import binascii
import io
from functools import cache

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from sorigeul.serving.api_errors import bad_request
from sorigeul.sound.audio import SAMPLE_RATE, Samples

AUDIO_FORMATS = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
"""the sampling rate of each format in Hz: 16 bits, little-endian; mu-law and A-law of G.711"""
_G711 = {"audio/pcmu": "ULAW", "audio/pcma": "ALAW"}


class RealtimeAudio:
    """One stream in a format of `AUDIO_FORMATS`, mono."""

    def __init__(self, format: str) -> None:
        self._format = format
        self._count = 0  # samples that have come
        self._resampler = soxr.ResampleStream(
            AUDIO_FORMATS[format], SAMPLE_RATE, 1, dtype="float32", quality="HQ"
        )

    @property
    def seconds(self) -> float:
        """Length of what has come."""
        return self._count / AUDIO_FORMATS[self._format]

    def decode(self, text: str) -> Samples:
        """The next piece -> the samples (n,) that are complete. Raises ApiError if it is damaged.

        The same samples come out, however the stream is cut into pieces.
        """
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise bad_request("audio is no valid base64", "audio") from None
        if self._format == "audio/pcm" and len(data) % 2:
            raise bad_request("audio/pcm has two bytes a sample, and half of one is here", "audio")
        samples = self._samples(data)
        self._count += len(samples)
        return self._resample(samples)

    def finish(self) -> Samples:
        """The samples that waited for more."""
        return self._resample(np.empty(0, np.float32), last=True)

    def _samples(self, data: bytes) -> Samples:
        if self._format in _G711:
            return _g711_table(_G711[self._format])[np.frombuffer(data, np.uint8)]
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)

    def _resample(self, samples: Samples, last: bool = False) -> Samples:
        return np.asarray(self._resampler.resample_chunk(samples, last=last), np.float32)


@cache
def _g711_table(law: str) -> npt.NDArray[np.float32]:
    """The sample of each of the 256 codes."""
    codes = io.BytesIO(bytes(range(256)))
    table, _ = soundfile.read(
        codes, dtype="float32", samplerate=8000, channels=1, format="RAW", subtype=law
    )
    return np.asarray(table, np.float32)
