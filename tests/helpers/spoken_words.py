"""Synthesised speech of which it is known when each word is spoken."""

import ctypes
from dataclasses import dataclass

import numpy as np
import soxr

from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.synthesis import espeak
from sorigeul.synthesis.espeak import Synthesizer

_END_OF_LIST, _WORD = 0, 1  # espeak_EVENT_TYPE of espeak-ng/speak_lib.h
_LOUD = 0.01  # of the peak: what is above is speech
_SILENCE = 0.2  # seconds before and after
_NOISE = 0.002  # standard deviation


class _Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng/speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class SpokenWords:
    """A text, its sound, and the times of its words."""

    text: str
    samples: Samples
    """(N,) at 16 kHz"""
    times: list[tuple[float, float]]
    """start and end of each word in seconds"""


def speak_words(synthesizer: Synthesizer, text: str, voice: str, rate: int) -> SpokenWords | None:
    """The text, spoken by eSpeak NG with faint noise and a short silence around it.

    The library reports where each word begins. A word ends where it is loud for the last time
    before the next one. None if the library joins or divides words, as it does with some numerals.
    """
    chunks: list[bytes] = []
    starts: list[int] = []

    def collect(samples: int | None, count: int, events: "ctypes._Pointer[_Event]") -> int:
        if samples:
            chunks.append(ctypes.string_at(samples, 2 * count))
        index = 0
        while events and events[index].type != _END_OF_LIST:
            if events[index].type == _WORD:
                starts.append(events[index].sample)
            index += 1
        return 0

    callback = _CALLBACK(collect)
    with synthesizer._loaded_library() as library:
        library.espeak_SetSynthCallback(callback)
        synthesizer._select_voice(library, voice)
        library.espeak_SetParameter(espeak._VOLUME, espeak._HALF_VOLUME, 0)
        library.espeak_SetParameter(espeak._RATE, rate, 0)
        data = text.encode()
        size = ctypes.c_size_t(len(data) + 1)
        library.espeak_Synth(data, size, 0, 1, 0, espeak._UTF8, None, None)
    if len(starts) != len(text.split()):
        return None
    speech = np.frombuffer(b"".join(chunks), np.int16).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(speech) > _LOUD * np.abs(speech).max())
    times = []
    for first, last in zip(starts, [*starts[1:], len(speech)], strict=True):
        inside = loud[(loud >= first) & (loud < last)]
        times.append(
            (
                _SILENCE + inside[0] / espeak._LIBRARY_RATE,
                _SILENCE + (inside[-1] + 1) / espeak._LIBRARY_RATE,
            )
        )
    resampled = soxr.resample(speech, espeak._LIBRARY_RATE, SAMPLE_RATE)
    padded = np.pad(resampled, round(_SILENCE * SAMPLE_RATE))
    noise = _NOISE * np.random.default_rng(len(padded)).standard_normal(len(padded))
    return SpokenWords(text, (padded + noise).astype(np.float32), times)
