"""Recordings in folders: what `transcribe` reads if it is given a folder."""

from collections.abc import Iterator, Sequence
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


def find_recordings(paths: Sequence[Path], recursive: bool) -> list[FoundRecording]:
    """The recordings that were given, and with `recursive` those under folders, sorted.

    Raises UserError for a folder without `recursive` or without recordings.
    """
    return [found for path in paths for found in _found(path, recursive)]


def _found(path: Path, recursive: bool) -> Iterator[FoundRecording]:
    if not path.is_dir():
        yield FoundRecording(path, PurePath(path.name))
        return
    if not recursive:
        raise UserError(f"{path} is a folder: give --recursive for the recordings in it")
    files = [
        file
        for file in sorted(path.rglob("*"))
        if file.suffix[1:].lower() in EXTENSIONS
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.is_file()
    ]
    if not files:
        raise UserError(f"{path} holds no recording, such as wav, flac, mp3, m4a or mp4")
    for file in files:
        yield FoundRecording(file, PurePath(file.relative_to(path)))
