"""Recordings and the files that hold their texts."""

import logging
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.corpora.cut_corpus import refuse_unwritable_name
from sorigeul.recognition.folders import find_recordings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """A recording and the file that holds its text."""

    recording: Path
    text: Path

    @property
    def name(self) -> str:
        """The name of the recording in the corpus."""
        return self.recording.stem


def find_pairs(recordings: Path, texts: Path, utterances: Path) -> tuple[list[Pair], int]:
    """A recording with its text, or each recording under a folder with the text of its name.

    Returns the pairs, and how many folders could not be read, which warnings name. What lies under
    `utterances`, where an earlier call has written them, is not for aligning. Names may be of
    composed or decomposed Hangul. Recordings and texts that are alone are named in warnings. Raises
    UserError if there is no pair, if two recordings have the same name, or if a name cannot stand
    in a table.
    """
    if not recordings.exists():
        raise UserError(f"{recordings}: no such file; give a recording, or a folder of them")
    if not recordings.is_dir():
        text = _texts_in(texts).get(_name(recordings), texts) if texts.is_dir() else texts
        if not text.is_file():
            wanted = texts / f"{recordings.stem}.txt" if texts.is_dir() else texts
            raise UserError(f"{wanted}: no such file; it must hold the text of {recordings}")
        refuse_unwritable_name(recordings, recordings.stem)
        return [Pair(recordings, text)], 0
    if not texts.is_dir():
        raise UserError(
            f"{recordings} is a folder of recordings, so {texts} must be a folder of their texts"
        )
    written, texts_by_name = Path(os.path.realpath(utterances)), _texts_in(texts)
    found: dict[str, Path] = {}
    unreadable = 0
    for one in find_recordings([recordings], recursive=True):
        if one.fault is not None:
            log.warning("%s", one.fault)
            unreadable += 1
            continue
        # Path.resolve raises for a link to itself.
        if written in Path(os.path.realpath(one.path)).parents:
            continue
        other = found.setdefault(_name(one.path), one.path)
        if other != one.path:
            raise UserError(f"{other} and {one.path} have the same name: rename one of them")
    pairs: list[Pair] = []
    for name, recording in found.items():
        if name in texts_by_name:
            refuse_unwritable_name(recording, recording.stem)
            pairs.append(Pair(recording, texts_by_name[name]))
        else:
            log.warning("%s has no text: there is no %s", recording, texts / f"{name}.txt")
    for name, path in texts_by_name.items():
        if name not in found:
            log.warning("%s has no recording of this name in %s", path, recordings)
    if not pairs:
        raise UserError(f"{texts} has no text with the name of a recording in {recordings}")
    return pairs, unreadable


def _texts_in(folder: Path) -> dict[str, Path]:
    """The text files in a folder by the names of their recordings."""
    files = (path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".txt")
    return {_name(path): path for path in files if path.is_file()}


def _name(path: Path) -> str:
    """macOS takes Hangul in names apart, and other systems do not."""
    return unicodedata.normalize("NFC", path.stem)
