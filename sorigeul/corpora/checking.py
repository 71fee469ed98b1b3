"""Checks one item of a corpus: normalises its text and measures its recording."""

import re
from pathlib import Path
from typing import NamedTuple

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular
from sorigeul.corpora.duration_cache import CachedDuration
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.recording_access import RecordingReader
from sorigeul.corpora.sound_faults import SoundFault, sound_faults
from sorigeul.corpora.utterances import Rejected, Utterance
from sorigeul.sound.audio import PART_TOLERANCE
from sorigeul.text.file_encoding import read_text_file
from sorigeul.text.normalization import (
    Normalizer,
    Punctuation,
    TranscriptError,
    invisible_characters,
    normalizer,
    visible,
)
from sorigeul.text.transcription_marks import transcription_marks

MIN_DURATION = 0.1  # seconds
# Hangul and Chinese characters are a syllable each. Anything else is less: of Latin letters and
# digits it takes about three (1000 is 천).
_SYLLABLE = re.compile("[가-힣\u4e00-\u9fff]")
_OTHERS_IN_A_SYLLABLE = 3
_SHOWN_CHARACTERS = 20

Task = tuple[Utterance | Rejected, CachedDuration | None]
"""An item from the reader, and what an earlier run measured of its recording."""


class Measured(NamedTuple):
    """The fields of a usable utterance that its reader did not fill in."""

    text: str
    """normalised"""
    size: int
    modified: int
    recording_duration: float
    duration: float
    invisible: str
    """characters that nobody sees, which were removed from the transcript"""
    marks: str
    """kinds of transcription marks that the normaliser does not read, with spaces between them"""
    faults: tuple[SoundFault, ...] | None
    """of the sound; None if only the header was read"""


def check(
    normalizer_name: str, options: PrepareOptions, recordings: RecordingReader, task: Task
) -> Measured | str:
    """Return the measured fields of an item, or the reason why it cannot be used.

    All slow work on an item is done here, so that several processes can share it.
    """
    item, cached = task
    if isinstance(item, Rejected):
        return item.reason
    try:
        transcript = _transcript(item)
        text = chosen_normalizer(normalizer_name, options)(transcript)
        if not text:
            return "empty transcript"
        if not any(map(str.isalnum, text)):
            return f"transcript of signs only: {text[:_SHOWN_CHARACTERS]}"
        measured = _measure(item, cached, recordings)
    except TranscriptError as error:
        return f"malformed transcript: {error}"
    except UserError as error:
        return str(error)
    except (OSError, ValueError) as error:  # a path too long for the system, or with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else error
        return f"{item.audio}: cannot be read ({reason})"
    duration = measured.duration
    if item.start is not None and item.end is not None:
        if item.end - measured.duration > PART_TOLERANCE:
            return (
                f"times out of range: it ends at {item.end:.2f} s of a recording of "
                f"{measured.duration:.2f} s"
            )
        duration = min(item.end, measured.duration) - item.start
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
    faults = None
    if options.check == "audio":
        try:
            if (faults := measured.faults) is None:
                path = Path(item.recording_name)
                faults = sound_faults(recordings.load(item), path)
        except UserError as error:
            return str(error)
    # From the transcript, since of a text without punctuation they cannot be told any more.
    marks = transcription_marks(visible(transcript), etri=normalizer_name == "plain")
    invisible = invisible_characters(transcript)
    return Measured(text, *measured[:3], duration, invisible, " ".join(marks), faults)


def chosen_normalizer(name: str, options: PrepareOptions) -> Normalizer:
    """The normaliser called ``name``, with what the options say; `auto` keeps punctuation."""
    punctuation: Punctuation = "drop" if options.punctuation == "drop" else "keep"
    return normalizer(name, options.numbers, punctuation)


def syllables(text: str) -> float:
    """How many syllables it takes at least to say a text."""
    whole = len(_SYLLABLE.findall(text))
    return whole + (len(text) - text.count(" ") - whole) / _OTHERS_IN_A_SYLLABLE


def _transcript(utterance: Utterance) -> str:
    if utterance.transcript is None:
        return utterance.text
    try:
        return read_text_file(utterance.transcript, utterance.transcript.name)
    except FileNotFoundError:
        raise UserError("audio without a transcript") from None


def _measure(
    utterance: Utterance, cached: CachedDuration | None, recordings: RecordingReader
) -> CachedDuration:
    """Return the cached values if the file has not changed since, else measure it."""
    try:
        status = check_regular(utterance.audio)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"transcript without audio: no file {utterance.audio}") from None
    size = utterance.member.size if utterance.member else status.st_size
    if cached is not None and cached[:2] == (size, status.st_mtime_ns):
        return cached
    return CachedDuration(size, status.st_mtime_ns, recordings.probe(utterance))
