"""Helpers of the readers: walk folders in a fixed order, read text files line by line."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.corpora.utterances import Rejected, Utterance
from sorigeul.text.file_encoding import decode_text


def folder(source: Path | None, looked_for: str) -> Path:
    """Return ``source`` if it is a folder; else UserError naming what should be in it."""
    if source is None:
        raise UserError(f"no source folder given; it should hold {looked_for}")
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; it should hold {looked_for}")
    return source


def walk(source: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield every folder under ``source``, links followed, with the sorted names of its files.

    Hidden files are left out because macOS and archives litter copies of a corpus with ``._x.wav``.
    """

    def unreadable(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error

    seen = set()  # a symbolic link may lead back up
    for place, folders, names in os.walk(source, onerror=unreadable, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(place), sorted(name for name in names if not name.startswith("."))


def lines(path: Path, source: Path) -> Iterator[tuple[str, str]]:
    """Yield ``(where, line)`` for each line of a text file that is not blank."""
    shown = relative(path, source)
    for number, line in enumerate(decode_text(path.read_bytes(), str(path)).split("\n"), 1):
        if line.strip():
            yield f"{shown}:{number}", line


def relative(path: Path, source: Path) -> str:
    """Return ``path`` as the report shows it: from the source folder on, with slashes."""
    return path.relative_to(source).as_posix()


def home_of(source: Path | None, name: str, preferred: str, looked_for: str) -> Path:
    """Return the folder under ``source`` that holds the file ``name``.

    Where several do, as with a corpus of many languages, the one called ``preferred``; else the
    first. UserError if none does.
    """
    source = folder(source, looked_for)
    homes = [place for place, names in walk(source) if name in names]
    if not homes:
        raise UserError(f"{source}: no {name} in it; it should hold {looked_for}")
    return next((home for home in homes if home.name == preferred), homes[0])


class Recordings:
    """Index of recordings by file name, for transcripts whose folder names cannot be trusted.

    Remembers which of them a transcript has named. The first file of each name counts.
    """

    def __init__(self, files: Iterable[tuple[Path, str]], source: Path) -> None:
        self._source = source
        self._folders: dict[
            str, Path
        ] = {}  # not whole paths: those of a large corpus would fill the memory
        self._listed: set[str] = set()
        self.rejected: list[Rejected] = []
        """Further files with a name that is taken."""
        for place, name in files:
            if (first := self._folders.setdefault(name, place)) != place:
                reason = f"second file of this name, after {relative(first / name, source)}"
                self.rejected.append(Rejected(name, reason, relative(place / name, source)))

    def take(self, name: str, otherwise: Path) -> Path:
        """Return the path of the recording ``name``, or ``otherwise`` if there is none."""
        self._listed.add(name)
        return self._folders[name] / name if name in self._folders else otherwise

    def left(self) -> Iterator[Rejected]:
        """Yield a rejection for each recording that no transcript has named."""
        paths = (place / n for n, place in self._folders.items() if n not in self._listed)
        yield from unlisted(paths, self._source)


def unlisted(paths: Iterable[Path], source: Path) -> Iterator[Rejected]:
    """Yield a rejection for each recording that no transcript names."""
    for path in paths:
        yield Rejected(path.stem, "audio without a transcript", relative(path, source))


def transcribed_folder(
    place: Path, names: list[str], source: Path, speaker: str, split: str | None
) -> Iterator[Utterance | Rejected]:
    """Yield what a folder in LibriSpeech's manner holds: FLAC files and ``*.trans.txt``.

    A line of the latter is ``id text``; the recording is ``id.flac`` beside it.
    """
    audio = {name for name in names if name.endswith(".flac")}
    for name in names:
        if name.endswith(".trans.txt"):
            for where, line in lines(place / name, source):
                key, *text = line.split(maxsplit=1)
                audio.discard(f"{key}.flac")
                yield Utterance(
                    key, place / f"{key}.flac", "".join(text), speaker, split, where=where
                )
    yield from unlisted((place / name for name in sorted(audio)), source)
