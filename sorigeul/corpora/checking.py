"""Checks one item of a corpus: normalises its text and measures its recording."""

import os
import re
import stat
from typing import NamedTuple

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular
from sorigeul.corpora.duration_cache import CachedDuration
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.utterances import Rejected, Utterance
from sorigeul.sound.audio import probe
from sorigeul.text.file_encoding import decode_text
from sorigeul.text.normalization import TranscriptError, invisible_characters, normalizer

MIN_DURATION = 0.1  # seconds
# Hangul and Chinese characters are a syllable each. Anything else is less: of Latin letters and
# digits it takes about three (1000 is 천).
_SYLLABLE = re.compile("[가-힣\u4e00-\u9fff]")
_OTHERS_IN_A_SYLLABLE = 3

Task = tuple[Utterance | Rejected, CachedDuration | None]
"""An item from the reader, and what an earlier run measured of its recording."""


class Measured(NamedTuple):
    """The fields of a usable utterance that its reader did not fill in."""

    text: str
    """normalised"""
    size: int
    modified: int
    duration: float
    invisible: str
    """characters that nobody sees, which were removed from the transcript"""


def check(normalizer_name: str, options: PrepareOptions, task: Task) -> Measured | str:
    """Return the measured fields of an item, or the reason why it cannot be used.

    All slow work on an item is done here, so that several processes can share it.
    """
    item, cached = task
    if isinstance(item, Rejected):
        return item.reason
    try:
        transcript = _transcript(item)
        text = normalizer(normalizer_name, options.numbers)(transcript)
        if not text:
            return "empty transcript"
        size, modified, duration = _measure(item, cached)
    except TranscriptError as error:
        return f"malformed transcript: {error}"
    except UserError as error:
        return str(error)
    except (OSError, ValueError) as error:  # a path too long for the system, or with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else error
        return f"{item.audio}: cannot be read ({reason})"
    if duration > options.max_duration:
        return f"{duration:.2f} s long, over {options.max_duration:g} s"
    if duration < MIN_DURATION:
        return f"{duration:.3f} s long, under {MIN_DURATION:g} s"
    rate = syllables(text) / duration
    if rate > options.max_syllable_rate:
        return (
            f"text and recording do not belong together: {rate:.0f} syllables a second, over "
            f"{options.max_syllable_rate:g}"
        )
    return Measured(text, size, modified, duration, invisible_characters(transcript))


def syllables(text: str) -> float:
    """How many syllables it takes at least to say a text."""
    whole = len(_SYLLABLE.findall(text))
    return whole + (len(text) - text.count(" ") - whole) / _OTHERS_IN_A_SYLLABLE


def _transcript(utterance: Utterance) -> str:
    if utterance.transcript is None:
        return utterance.text
    try:
        check_regular(utterance.transcript)
        content = utterance.transcript.read_bytes()
    except FileNotFoundError:
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
