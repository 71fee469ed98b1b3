"""Recordings and the files that hold their texts."""

import logging
from dataclasses import dataclass
from pathlib import Path

from sorigeul.base.errors import UserError
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


def find_pairs(recordings: Path, texts: Path) -> list[Pair]:
    """A recording with its text, or each recording under a folder with the text of its name.

    Recordings and texts that are alone are named in warnings. Raises UserError if there is no pair,
    or if two recordings have the same name.
    """
    if not recordings.is_dir():
        text = texts / f"{recordings.stem}.txt" if texts.is_dir() else texts
        if not text.is_file():
            raise UserError(f"{text}: no such file; it must hold the text of {recordings}")
        return [Pair(recordings, text)]
    if not texts.is_dir():
        raise UserError(
            f"{recordings} is a folder of recordings, so {texts} must be a folder of their texts"
        )
    pairs: dict[str, Pair] = {}
    for found in find_recordings([recordings], recursive=True):
        if found.fault is not None:
            log.warning("%s", found.fault)
            continue
        name = found.path.stem
        if name in pairs:
            other = pairs[name].recording
            raise UserError(f"{other} and {found.path} have the same name: rename one of them")
        pairs[name] = Pair(found.path, texts / f"{name}.txt")
    for name, pair in list(pairs.items()):
        if not pair.text.is_file():
            log.warning("%s has no text: there is no %s", pair.recording, pair.text)
            del pairs[name]
    for path in sorted(texts.glob("*.txt")):
        if path.stem not in pairs:
            log.warning("%s has no recording of this name in %s", path, recordings)
    if not pairs:
        raise UserError(f"{texts} has no text with the name of a recording in {recordings}")
    return list(pairs.values())
