"""The utterances of a corpus' train that can be spliced."""

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.corpora.names import speaker_name
from sorigeul.data import manifests
from sorigeul.recognition.recording_list import RecordingEntry

log = logging.getLogger(__name__)

_LONGEST = 60.0
"""seconds of an utterance; the memory that an alignment takes grows with the square of them"""


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance of a corpus."""

    recording: RecordingEntry
    text: str
    speaker: str
    """as of `speaker_name`; empty if it is not known"""
    key: str
    """the same for the same recording with the same text, unless its file has been replaced"""


def read_utterances(cuts: CutSet, data: Path) -> list[Utterance]:
    """Those that can be spliced: of speakers who have a name, and more than one utterance.

    Says how many cannot. Raises UserError if none can.
    """
    everything = list(_read(cuts, data))
    named = [one for one in everything if one.speaker]
    if not named:
        raise UserError(
            f"{data} does not say who speaks, and pieces of two voices are no utterance: name the "
            "speakers in a table, and prepare it"
        )
    short = [one for one in named if one.recording.seconds <= _LONGEST]
    counts = Counter(one.speaker for one in short)
    several = [one for one in short if counts[one.speaker] > 1]
    for left_out, why in (
        (len(everything) - len(named), "since their speakers have no names"),
        (
            len(named) - len(short),
            f"since 'sorigeul align' is for what is longer than {_LONGEST:.0f} s",
        ),
        (len(short) - len(several), "since their speakers have no other"),
    ):
        if left_out:
            log.warning("%s utterances are left out, %s", f"{left_out:,}", why)
    if not several:
        raise UserError(f"{data} has no speaker with two utterances of which others could be made")
    return several


def _read(cuts: CutSet, data: Path) -> Iterator[Utterance]:
    file_version = lru_cache(maxsize=16)(_file_version)  # an archive holds many utterances
    for cut in cuts:
        recording, text = RecordingEntry.from_cut(cut, data), manifests.transcript(cut)
        speaker = speaker_name(manifests.speaker(cut)) or ""
        version = file_version(recording.audio)
        about = [recording.id, recording.seconds, recording.part, recording.member, text, version]
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]
        yield Utterance(recording, text, speaker, key)


def _file_version(path: str) -> tuple[int, int] | None:
    """Size and time of the last change of a file, by which it is told from another in its place."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None  # it is named when it is to be read
    return status.st_size, status.st_mtime_ns


def longest_seconds(utterances: Sequence[Utterance]) -> float:
    """The length of the longest one."""
    return max(one.recording.seconds for one in utterances)
