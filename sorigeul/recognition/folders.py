"""Recordings in folders: what `transcribe` reads if it is given a folder."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from sorigeul.base.errors import UserError

_AUDIO = "aac ac3 aif aiff amr au caf flac gsm m4a m4b mka mp2 mp3 oga ogg opus pcm raw snd spx"
_VIDEO = "3g2 3gp avi flv m4v mkv mov mp4 mpeg mpg mts ts webm wmv"
EXTENSIONS = frozenset(f"{_AUDIO} w64 wav wma {_VIDEO}".split())
"""of the files that are taken for recordings in a folder; elsewhere the content decides"""


@dataclass(frozen=True)
class FoundRecording:
    """A recording to transcribe."""

    path: Path
    name: PurePath
    """its name, with the folders between it and the folder that was given"""
    fault: UserError | None = None
    """why it cannot be transcribed, where that is known before it is opened"""


def find_recordings(paths: Sequence[Path], recursive: bool) -> list[FoundRecording]:
    """The recordings that were given, and with `recursive` those under folders, sorted.

    A folder that cannot be read, that holds no recording, or that was given without `recursive` is
    one of them, with its fault. Raises UserError if there is nothing else.
    """
    recordings = [found for path in paths for found in _found(path, recursive)]
    faults = [one.fault for one in recordings if one.fault is not None]
    if faults and len(faults) == len(recordings):
        raise faults[0]
    return recordings


def _found(path: Path, recursive: bool) -> Iterator[FoundRecording]:
    if not os.path.isdir(path):  # Path.is_dir raises if a folder above may not be entered
        yield FoundRecording(path, PurePath(path.name))
        return
    if not recursive:
        fault = UserError(f"{path} is a folder: give --recursive for the recordings in it")
        yield FoundRecording(path, PurePath(path.name), fault)
        return
    unreadable: list[OSError] = []
    files = sorted(_walk(path, unreadable.append))
    for error in unreadable:
        folder = Path(error.filename)
        fault = UserError(f"{folder}: the folder cannot be read ({error.strerror})")
        yield FoundRecording(folder, PurePath(folder.name), fault)
    if not files and not unreadable:
        fault = UserError(f"{path} holds no recording, such as wav, flac, mp3, m4a or mp4")
        yield FoundRecording(path, PurePath(path.name), fault)
    for file in files:
        yield FoundRecording(file, PurePath(file.relative_to(path)))


def _walk(folder: Path, on_error: Callable[[OSError], None]) -> Iterator[Path]:
    """The recordings under a folder but not the hidden ones, through links, each folder once.

    `on_error` is told of folders that cannot be read.
    """
    visited = set()
    for place, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        real = os.path.realpath(place)  # os.stat would raise if the folder has just vanished
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and path.suffix[1:].lower() in EXTENSIONS:
                yield path
