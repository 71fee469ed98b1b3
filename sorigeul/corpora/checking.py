"""Checks one item of a corpus: normalises its text and measures its recording."""

import os
import stat
from typing import NamedTuple

from sorigeul.base.errors import UserError
from sorigeul.corpora.duration_cache import CachedDuration
from sorigeul.corpora.utterances import Rejected, Utterance
from sorigeul.sound.audio import probe
from sorigeul.text.file_encoding import decode_text
from sorigeul.text.normalization import TranscriptError, normalizer

MIN_DURATION = 0.1  # seconds

Task = tuple[Utterance | Rejected, CachedDuration | None]
"""An item from the reader, and what an earlier run measured of its recording."""


class Measured(NamedTuple):
    """The fields of a usable utterance that its reader did not fill in."""

    text: str
    """normalised"""
    size: int
    modified: int
    duration: float


def check(normalizer_name: str, max_duration: float, task: Task) -> Measured | str:
    """Return the measured fields of an item, or the reason why it cannot be used.

    All slow work on an item is done here, so that several processes can share it.
    """
    item, cached = task
    if isinstance(item, Rejected):
        return item.reason
    try:
        text = normalizer(normalizer_name)(_transcript(item))
        if not text:
            return "empty transcript"
        size, modified, duration = _measure(item, cached)
    except TranscriptError as error:
        return f"malformed transcript: {error}"
    except UserError as error:
        return str(error)
    if duration > max_duration:
        return f"{duration:.2f} s long, over {max_duration:g} s"
    if duration < MIN_DURATION:
        return f"{duration:.3f} s long, under {MIN_DURATION:g} s"
    return Measured(text, size, modified, duration)


def _transcript(utterance: Utterance) -> str:
    if utterance.transcript is None:
        return utterance.text
    try:
        content = utterance.transcript.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise UserError("audio without a transcript") from None
    return decode_text(content, utterance.transcript.name)


def _measure(utterance: Utterance, cached: CachedDuration | None) -> CachedDuration:
    """Return the cached values if the file has not changed since, else measure it."""
    try:
        status = os.stat(utterance.audio)
    except (FileNotFoundError, NotADirectoryError):
        status = None
    if status is None or not stat.S_ISREG(status.st_mode):
        raise UserError(f"transcript without audio: no file {utterance.audio}")
    size_and_date = (status.st_size, status.st_mtime_ns)
    if cached is not None and cached[:2] == size_and_date:
        return cached
    return (*size_and_date, probe(utterance.audio))
