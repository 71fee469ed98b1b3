"""Finds a recording by the name that somebody wrote in a table or a list.

Such a name may differ from the file's own in ways that mean nothing: backslashes of Windows, Hangul
composed or decomposed (as macOS writes it), another case of the extension. Any other difference
makes it another name, and then the nearest one that exists is shown. Does not know about audio.
"""

import os
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein

from sorigeul.base.errors import UserError

# C:\ or C:/, and \\server of a network drive.
_OF_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_LEAST_SIMILARITY = 50  # percent of the letters in common; below that, a name is no hint
_MOST_HINTS = 100  # of one finder: each is a comparison with all names of a folder
_SHOWN_EDITS = 3


class NameIndex:
    """Names of files, such as those in a folder, looked up as people write them."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._by_meaning: dict[str, str | None] | None = None
        self._stems: dict[str, str] | None = None

    def find(self, written: str) -> str | None:
        """Return the name that ``written`` means, or None if there is none, or more than one."""
        if written in self._names:
            return written
        if self._by_meaning is None:  # made late: most tables need it never
            self._by_meaning = {}
            for name in self._names:
                meaning = _meaning(name)
                self._by_meaning[meaning] = None if meaning in self._by_meaning else name
        return self._by_meaning.get(_meaning(written))

    def nearest(self, written: str) -> str:
        """Name the most similar name there is, and what differs; empty if none is similar."""
        if self._stems is None:
            self._stems = {}
            for name in sorted(self._names):
                self._stems.setdefault(_folded_stem(name), name)
        match = process.extractOne(
            _folded_stem(written),
            self._stems.keys(),
            scorer=fuzz.ratio,
            score_cutoff=_LEAST_SIMILARITY,
        )
        if match is None:
            return ""
        name = self._stems[match[0]]
        return f"the nearest name there is {name!r}, {_difference(written, name)}"


class RecordingFinder:
    """Finds recordings in folders, and lists a folder once at most. Made for one table or list."""

    def __init__(self) -> None:
        self._listings: dict[Path, NameIndex] = {}
        self._folders: dict[Path, Path | None] = {}
        self._hints = 0

    def find(self, written: str, folder: Path) -> Path:
        """Return the path of what ``written`` names, a path that is relative to ``folder``.

        What it is, a file or something else, is not looked at. Raises UserError with the nearest
        name that exists if there is nothing.
        """
        found = self.look_up(written, folder)
        if found is not None:
            return found
        if _OF_WINDOWS.match(written):
            raise UserError(
                f"{written} is a path on a Windows machine: name the folder that holds its "
                "recordings here with --audio_root"
            )
        raise UserError(self._explain(folder / with_slashes(written.strip())))

    def look_up(self, written: str, folder: Path) -> Path | None:
        """As `find`, but return None if there is nothing."""
        path = folder / written
        if os.path.exists(path):
            return path
        if _OF_WINDOWS.match(written):
            return None
        path = folder / with_slashes(written.strip())
        if os.path.exists(path):
            return path
        parent = self._real_folder(path.parent)
        return None if parent is None else self._look_up_in(parent, path.name)

    def _real_folder(self, folder: Path) -> Path | None:
        """The folder of this name; None if there is none."""
        if folder not in self._folders:
            existing, names = _existing_part(folder)
            found: Path | None = existing
            for name in names:
                found = None if found is None else self._look_up_in(found, name)
            self._folders[folder] = found
        return self._folders[folder]

    def _look_up_in(self, folder: Path, name: str) -> Path | None:
        if name == "..":
            return folder / name
        found = self._listing(folder).find(name)
        return None if found is None else folder / found

    def _listing(self, folder: Path) -> NameIndex:
        if folder not in self._listings:
            try:
                names = set(os.listdir(folder))
            except OSError:  # not a folder, or one that may be entered but not listed
                names = set()
            self._listings[folder] = NameIndex(names)
        return self._listings[folder]

    def _explain(self, path: Path) -> str:
        """Say what of a path does not exist, and what is the nearest to it."""
        message = f"no file {path}"
        folder, names = _existing_part(path.parent)
        for name in names:
            found = self._look_up_in(folder, name)
            if found is None:
                message += f": {folder} has no folder {name!r}"
                break
            folder = found
        else:
            name = path.name
        self._hints += 1
        hint = self._listing(folder).nearest(name) if self._hints <= _MOST_HINTS else ""
        return f"{message}; {hint}" if hint else message


def with_slashes(written: str) -> str:
    """Return a path with slashes in place of the backslashes of Windows."""
    return written.replace("\\", "/")


def _existing_part(folder: Path) -> tuple[Path, list[str]]:
    """The part of a path that is a folder, and the names that follow it."""
    missing: list[str] = []
    while not os.path.isdir(folder) and folder != folder.parent:
        missing.append(folder.name)
        folder = folder.parent
    return folder, missing[::-1]


def _meaning(name: str) -> str:
    """The same text for all spellings of a name that mean the same."""
    name = unicodedata.normalize("NFC", name)
    stem, extension = os.path.splitext(name)
    return name if extension.islower() else stem + extension.lower()


def _folded_stem(name: str) -> str:
    """A name without its extension, in lower case. Of full-width letters the usual ones."""
    return os.path.splitext(unicodedata.normalize("NFKC", name).casefold())[0]


def _difference(written: str, found: str) -> str:
    """Say what a name has that the written one has not, and the other way round."""
    written, found = _meaning(written), _meaning(found)
    edits = []
    for edit in Levenshtein.opcodes(written, found):
        wrong = written[edit.src_start : edit.src_end]
        right = found[edit.dest_start : edit.dest_end]
        match edit.tag:
            case "replace":
                edits.append(f"with {right!r} for {wrong!r}")
            case "delete":
                edits.append(f"without {wrong!r}")
            case "insert":
                edits.append(f"with {right!r} added")
    if not edits:
        return "in another spelling"
    return ", ".join(edits[:_SHOWN_EDITS]) + (", ..." if len(edits) > _SHOWN_EDITS else "")
