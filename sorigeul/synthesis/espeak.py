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

# Of espeak-ng/speak_lib.h.
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
    """eSpeak NG speaking Korean, as a context manager. For one thread at a time.

    The library is one set of global variables, and one of them (the phase of the pitch flutter)
    outlives even ``espeak_Terminate``: what was said before would change what is said next. So a
    private copy of the library is loaded afresh for each utterance, which costs a millisecond and
    leaves alone whoever else in this process uses the library.

    Raises:
        UserError: if ``espeakng-loader`` is not installed, or its data are not usable.
    """

    def __init__(self) -> None:
        try:
            loader = importlib.import_module("espeakng_loader")
        except ImportError:
            raise UserError(
                "the demo corpus needs the package espeakng-loader: pip install 'sorigeul[demo]'"
            ) from None
        self._folder = tempfile.TemporaryDirectory(prefix="sorigeul-")
        here = Path(self._folder.name)
        self._library = str(shutil.copy(loader.get_library_path(), here))
        # Copied too, since the library cuts paths at 160 bytes.
        self._data = shutil.copytree(loader.get_data_path(), here / "data", ignore=_other_languages)
        with self._loaded() as library:
            library.espeak_Info.restype = ctypes.c_char_p
            self.version: str = library.espeak_Info(None).decode()

    def __enter__(self) -> "Synthesizer":
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def speak(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> Samples:
        """Say ``text`` with the variant ``voice``: float32 ``(N,)`` at 16 kHz, in [-1, 1].

        ``rate`` is in words a minute (80 to 450); ``pitch`` and ``pitch_range`` go from 0 to 100,
        50 leaving the voice as it is. The same arguments give the same samples.

        Raises:
            UserError: if there is no such voice.
        """
        pieces: list[bytes] = []

        def collect(samples: int | None, count: int, _events: int | None) -> int:
            if samples:
                pieces.append(ctypes.string_at(samples, 2 * count))
            return 0

        callback = _CALLBACK(collect)  # kept in a variable, so that it outlives the call into C

        with self._loaded() as library:
            library.espeak_SetSynthCallback(callback)
            self._choose(library, voice)
            library.espeak_SetParameter(_VOLUME, _HALF_VOLUME, 0)
            library.espeak_SetParameter(_RATE, rate, 0)
            library.espeak_SetParameter(_PITCH, pitch, 0)
            library.espeak_SetParameter(_RANGE, pitch_range, 0)
            data = text.encode()
            size = ctypes.c_size_t(len(data) + 1)
            library.espeak_Synth(data, size, 0, 1, 0, _UTF8, None, None)
        samples = np.frombuffer(b"".join(pieces), np.int16).astype(np.float32) / 32768
        return np.asarray(soxr.resample(samples, _LIBRARY_RATE, SAMPLE_RATE), np.float32)

    def _choose(self, library: ctypes.CDLL, voice: str) -> None:
        library.espeak_SetVoiceByName(f"ko+{voice}".encode())
        library.espeak_GetCurrentVoice.restype = ctypes.POINTER(_Voice)
        # An unknown variant leaves the plain voice behind and still reports success.
        if library.espeak_GetCurrentVoice().contents.identifier != f"ko+{voice}".encode():
            known = sorted(path.name for path in (self._data / "voices" / "!v").iterdir())
            raise UserError(f"voice {voice!r}: unknown; choose one of {', '.join(known)}")

    @contextmanager
    def _loaded(self) -> Iterator[ctypes.CDLL]:
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
    return {name for name in names if name.endswith("_dict") and name != "ko_dict"}
