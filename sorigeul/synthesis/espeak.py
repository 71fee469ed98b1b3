"""eSpeak NG as a Korean speech synthesizer, called through its C library.

Library and data come with the package ``espeakng-loader`` (extra ``demo``): nothing is downloaded.
The same arguments give the same samples, whatever was synthesised before in the same process.
"""

import _ctypes
import ctypes
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soxr

from sorigeul.base.errors import UserError
from sorigeul.sound.audio import SAMPLE_RATE, Samples

# Constants of espeak-ng/speak_lib.h.
_LIBRARY_RATE = 22_050
_SYNCHRONOUS, _DO_NOT_EXIT, _UTF8 = 2, 0x8000, 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_HALF_VOLUME = 50  # at the default of 100 some variants clip
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
    )


class Synthesizer:
    """eSpeak NG with Korean voices. A context manager; use it in one thread at a time.

    The library keeps its state in global variables. One of them (the phase of the pitch flutter)
    survives even ``espeak_Terminate``, so that an utterance would change the next one. Therefore a
    private copy of the library is loaded for each utterance. That takes a millisecond, and does not
    affect other users of the library in this process.

    Raises:
        UserError: if ``espeakng-loader`` is not installed or its data cannot be used.
    """

    def __init__(self) -> None:
        try:
            loader = importlib.import_module("espeakng_loader")
        except ImportError:
            raise UserError(
                "the demo corpus needs the package espeakng-loader: pip install 'sorigeul[demo]'"
            ) from None
        self._folder = tempfile.TemporaryDirectory(prefix="sorigeul-")
        folder = Path(self._folder.name)
        self._library = str(shutil.copy(loader.get_library_path(), folder))
        # Copied too, since the library truncates paths to 160 bytes.
        self._data = shutil.copytree(
            loader.get_data_path(), folder / "data", ignore=_other_languages
        )
        with self._loaded_library() as library:
            library.espeak_Info.restype = ctypes.c_char_p
            self.version: str = library.espeak_Info(None).decode()

    def __enter__(self) -> "Synthesizer":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def speak(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> Samples:
        """Return ``text`` spoken by the variant ``voice``: float32 (N,) at 16 kHz, in [-1, 1].

        ``rate`` is in words per minute (80 to 450). ``pitch`` and ``pitch_range`` are from 0 to
        100; 50 does not change the voice. The same arguments give the same samples.

        Raises:
            UserError: if there is no such voice.
        """
        chunks: list[bytes] = []

        def collect(samples: int | None, count: int, _events: int | None) -> int:
            if samples:
                chunks.append(ctypes.string_at(samples, 2 * count))
            return 0

        callback = _CALLBACK(collect)  # kept in a variable, so that it outlives the call into C

        with self._loaded_library() as library:
            library.espeak_SetSynthCallback(callback)
            self._select_voice(library, voice)
            library.espeak_SetParameter(_VOLUME, _HALF_VOLUME, 0)
            library.espeak_SetParameter(_RATE, rate, 0)
            library.espeak_SetParameter(_PITCH, pitch, 0)
            library.espeak_SetParameter(_RANGE, pitch_range, 0)
            data = text.encode()
            size = ctypes.c_size_t(len(data) + 1)
            library.espeak_Synth(data, size, 0, 1, 0, _UTF8, None, None)
        samples = np.frombuffer(b"".join(chunks), np.int16).astype(np.float32) / 32768
        return np.asarray(soxr.resample(samples, _LIBRARY_RATE, SAMPLE_RATE), np.float32)

    def _select_voice(self, library: ctypes.CDLL, voice: str) -> None:
        library.espeak_SetVoiceByName(f"ko+{voice}".encode())
        library.espeak_GetCurrentVoice.restype = ctypes.POINTER(_Voice)
        # For an unknown variant the library selects the plain voice and reports success.
        if library.espeak_GetCurrentVoice().contents.identifier != f"ko+{voice}".encode():
            voices = sorted(path.name for path in (self._data / "voices" / "!v").iterdir())
            raise UserError(f"voice {voice!r}: unknown; choose one of {', '.join(voices)}")

    @contextmanager
    def _loaded_library(self) -> Iterator[ctypes.CDLL]:
        try:
            library = ctypes.CDLL(self._library)
        except OSError as error:
            raise UserError(
                f"eSpeak NG does not load ({error}): set TMPDIR to a folder that may hold programs"
            ) from error
        try:
            data = os.fsencode(self._data)
            if library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DO_NOT_EXIT) != _LIBRARY_RATE:
                raise UserError(
                    "eSpeak NG does not start: pip install --force-reinstall espeakng-loader"
                )
            library.espeak_ng_SetRandSeed(ctypes.c_long(0))  # otherwise the clock seeds it
            yield library
            library.espeak_Terminate()
        finally:
            if sys.platform == "win32":
                _ctypes.FreeLibrary(library._handle)
            else:
                _ctypes.dlclose(library._handle)


def _other_languages(_folder: str, names: list[str]) -> set[str]:
    """The dictionaries that a Korean synthesizer does not need."""
    return {name for name in names if name.endswith("_dict") and name != "ko_dict"}
