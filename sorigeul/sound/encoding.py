"""Samples as the bytes of a sound file."""

import io
from typing import Literal

import soundfile

from sorigeul.base.stopping import stop_signals_wait
from sorigeul.sound.audio import SAMPLE_RATE, Samples

_SUBTYPES = {"FLAC": "PCM_16", "OGG": "OPUS"}


def encode(samples: Samples, kind: Literal["FLAC", "OGG"] = "FLAC") -> bytes:
    """Samples (N,) at 16 kHz as 16-bit FLAC, which rounds them, or as Opus.

    In memory, since of a full disk libsndfile says only "System error", or nothing.
    """
    file = io.BytesIO()
    with stop_signals_wait():
        soundfile.write(file, samples, SAMPLE_RATE, format=kind, subtype=_SUBTYPES[kind])
    return file.getvalue()
