"""Shared by the readers: walks folders in a fixed order, reads text files line by line.

Does not know about any one corpus.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.corpora.utterances import Rejected, Utterance
from sorigeul.sound.recording_paths import NameIndex
from sorigeul.text.file_encoding import read_text_file


def source_folder(source: Path | None, layout: str) -> Path:
    """Return ``source`` if it is a folder; else raise UserError with the ``layout`` it needs."""
    if source is None:
        raise UserError(f"no source folder given; it should hold {layout}")
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; it should hold {layout}")
    return source


def walk(source: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield every folder under ``source`` with the sorted names of its files. Follows links.

    Hidden files are skipped, because macOS and archives leave files such as ``._x.wav``.
    """

    def raise_user_error(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error

    visited = set()  # a link may lead back to a parent
    for folder, subfolders, names in os.walk(source, onerror=raise_user_error, followlinks=True):
        if (real_path := os.path.realpath(folder)) in visited:
            subfolders.clear()
            continue
        visited.add(real_path)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield Path(folder), sorted(name for name in names if not name.startswith("."))


def lines(path: Path, source: Path) -> Iterator[tuple[str, str]]:
    """Yield ``(where, line)`` for each line of a text file that is not blank."""
    file = relative(path, source)
    for number, line in enumerate(read_text_file(path).split("\n"), 1):
        if line.strip():
            yield f"{file}:{number}", line


def relative(path: Path, source: Path) -> str:
    """Return ``path`` as the report shows it: relative to the source folder, with slashes."""
    return path.relative_to(source).as_posix()


def folder_with(name: str, source: Path | None, preferred: str, layout: str) -> Path:
    """Return the folder under ``source`` that holds the file ``name``.

    If several do, as in a corpus of many languages, the one called ``preferred`` is returned, else
    the first. UserError if none does.
    """
    source = source_folder(source, layout)
    folders = [folder for folder, names in walk(source) if name in names]
    if not folders:
        raise UserError(f"{source}: no {name} in it; it should hold {layout}")
    return next((folder for folder in folders if folder.name == preferred), folders[0])


def without_audio(item: str, fault: UserError, where: str) -> Rejected:
    """Return the rejection of a transcript whose recording was not found."""
    return Rejected(item, f"transcript without audio: {fault}", where)


class Recordings:
    """Recordings by file name, for corpora whose transcripts may name the wrong folder.

    Remembers which of them have a transcript. If several files have the same name, the first one is
    used.
    """

    def __init__(self, files: Iterable[tuple[Path, str]], source: Path) -> None:
        """``files``: folder and name of each recording."""
        self._source = source
        self._folders: dict[str, Path] = {}  # whole paths of a large corpus would fill the memory
        self._index = NameIndex(self._folders)
        self._transcribed: set[str] = set()
        self.rejected: list[Rejected] = []
        """further files with a name that another file has"""
        for folder, name in files:
            if (first := self._folders.setdefault(name, folder)) != folder:
                reason = f"second file of this name, after {relative(first / name, source)}"
                self.rejected.append(Rejected(name, reason, relative(folder / name, source)))

    def find(self, written: str) -> Path:
        """Return the path of the recording that a transcript names; UserError if none has it."""
        name = self._index.find(written)
        if name is None:
            hint = self._index.nearest(written)
            raise UserError(f"no file {written}" + (f"; {hint}" if hint else ""))
        self._transcribed.add(name)
        return self._folders[name] / name

    def reject_untranscribed(self) -> Iterator[Rejected]:
        """Yield a rejection for each recording that `find` was not asked for."""
        paths = (
            folder / name for name, folder in self._folders.items() if name not in self._transcribed
        )
        yield from reject_untranscribed(paths, self._source)


def reject_untranscribed(paths: Iterable[Path], source: Path) -> Iterator[Rejected]:
    """Yield a rejection for each recording in ``paths``: no transcript names them."""
    for path in paths:
        yield Rejected(path.stem, "audio without a transcript", relative(path, source))


def read_librispeech_folder(
    folder: Path, names: list[str], source: Path, speaker: str, split: str | None
) -> Iterator[Utterance | Rejected]:
    """Yield the utterances of a folder in LibriSpeech's layout: FLAC files and ``*.trans.txt``.

    A line of the latter is ``id text``; its recording is ``id.flac`` in the same folder.
    """
    recordings = Recordings(
        ((folder, name) for name in names if name.lower().endswith(".flac")), source
    )
    for name in names:
        if name.endswith(".trans.txt"):
            for where, line in lines(folder / name, source):
                id_, *text = line.split(maxsplit=1)
                try:
                    audio = recordings.find(f"{id_}.flac")
                except UserError as error:
                    yield without_audio(id_, error, where)
                    continue
                yield Utterance(id_, audio, "".join(text), speaker, split, where=where)
    yield from recordings.reject_untranscribed()
