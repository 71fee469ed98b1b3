"""Check one item of a corpus: normalise its text, measure its recording, or give a reason."""

import os
import stat
from typing import NamedTuple

from sorigeul.base.errors import UserError
from sorigeul.corpora.duration_cache import CachedDuration
from sorigeul.corpora.utterances import Rejected, Utterance
from sorigeul.sound.audio import probe
from sorigeul.text.file_encoding import decode_text
from sorigeul.text.normalization import TranscriptError, normalizer

MIN_DURATION = 0.1

Task = tuple[Utterance | Rejected, CachedDuration | None]
"""An item from a reader, and its cached duration if there is one."""


class Measured(NamedTuple):
    """What checking adds to a good utterance."""

    text: str
    size: int
    modified: int
    duration: float


def check(normalizer_name: str, max_duration: float, task: Task) -> Measured | str:
    """Return the measured item of ``task``, or the reason why it cannot be used.

    ``normalizer_name`` is the normaliser for its text.

    Everything slow about an item happens here, so that many processes can share it.
    """
    item, known = task
    if isinstance(item, Rejected):
        return item.reason
    try:
        text = normalizer(normalizer_name)(_transcript(item))
        if not text:
            return "empty transcript"
        size, modified, duration = _measured(item, known)
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


def _measured(utterance: Utterance, known: CachedDuration | None) -> CachedDuration:
    """Return the cached duration if the file has not changed since; else measure it."""
    try:
        found = os.stat(utterance.audio)
    except (FileNotFoundError, NotADirectoryError):
        found = None
    if found is None or not stat.S_ISREG(found.st_mode):
        raise UserError(f"transcript without audio: no file {utterance.audio}")
    stamp = (found.st_size, found.st_mtime_ns)
    if known is not None and known[:2] == stamp:
        return known
    return (*stamp, probe(utterance.audio))
