"""The words of a corpus in time, found in batches and kept, so that they are found only once."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sorigeul.alignment.script import Script
from sorigeul.base.errors import UserError
from sorigeul.base.files import naming, write_text
from sorigeul.base.progress import progress_bar
from sorigeul.recognition.batching import length_batches
from sorigeul.recognition.fingerprints import model_fingerprint
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.recording_list import RecordingEntry
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.splicing.word_places import WordPlaces, place_words

log = logging.getLogger(__name__)

_VERSION = 1  # increases whenever the words of the same corpus would be placed in another way
_CHUNK = 128  # utterances that are read at a time, and kept together
_NAMED = 5  # recordings that could not be read


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance of a corpus."""

    recording: RecordingEntry
    text: str
    speaker: str
    """empty if it is not known"""


class KeptWords:
    """Where the words of utterances are, by the CTC head of a model; kept in a file."""

    def __init__(self, path: Path, recognizer: Recognizer, utterances: Sequence[Utterance]) -> None:
        """Know nothing yet. `path` is the file."""
        self.path, self._recognizer, self._utterances = path, recognizer, utterances
        self.unreadable = 0
        """how many recordings could not be read"""

    @cached_property
    def key(self) -> str:
        """Everything that decides where the words are, but what is in the recordings."""
        digest = hashlib.sha256()
        digest.update(f"{_VERSION} {model_fingerprint(self._recognizer.pretrained)}".encode())
        for one in self._utterances:
            recording = one.recording
            row = [recording.id, recording.seconds, recording.part, one.text]
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()

    def find(self) -> list[WordPlaces | None]:
        """The words of each utterance; None for one that could not be read or placed.

        Recordings that cannot be read are named in warnings, and tried again by the next call.
        Raises UserError if none can.
        """
        chunks = self._read()
        firsts = range(0, len(self._utterances), _CHUNK)
        lines = [_line(first, chunks[first]) for first in firsts if first in chunks]
        write_text(self.path, "".join([json.dumps({"key": self.key}) + "\n", *lines]))
        done = sum(len(words) for words in chunks.values())
        with (
            naming(self.path),
            self.path.open("a", encoding="utf-8") as file,
            progress_bar("finding words", len(self._utterances), done) as advance,
        ):
            for first in firsts:
                if first not in chunks:
                    chunks[first], faults = self._find(self._utterances[first : first + _CHUNK])
                    self._warn(faults)
                    if not faults:
                        file.write(_line(first, chunks[first]))
                        file.flush()
                    advance(len(chunks[first]), "")
        if self.unreadable > _NAMED:
            log.warning("and %s more", f"{self.unreadable - _NAMED:,}")
        if self.unreadable == len(self._utterances):
            raise UserError("none of the recordings could be read, as said above")
        return [words for first in firsts for words in chunks[first]]

    def _read(self) -> dict[int, list[WordPlaces | None]]:
        """What earlier calls have found, by the number of the first utterance of each chunk."""
        chunks: dict[int, list[WordPlaces | None]] = {}
        try:
            key, *lines = map(json.loads, self.path.read_bytes().splitlines())
            if key == {"key": self.key}:
                for line in lines:
                    words = [None if one is None else WordPlaces(**one) for one in line["words"]]
                    chunks[line["first"]] = words
        except (OSError, ValueError, LookupError, TypeError):
            pass  # it is not there yet, or the last call was killed: the rest is found anew
        return chunks

    def _find(self, chunk: Sequence[Utterance]) -> tuple[list[WordPlaces | None], list[str]]:
        """The words of some utterances, and why some could not be read."""
        samples: dict[int, Samples] = {}
        faults: list[str] = []
        for number, one in enumerate(chunk):
            try:
                samples[number] = one.recording.samples()
            except AudioError as error:
                faults.append(str(error))
        numbers = list(samples)
        seconds = [len(samples[number]) / SAMPLE_RATE for number in numbers]
        batches = [
            [numbers[place] for place in batch]
            for batch in length_batches(seconds, self._recognizer.batch_seconds)
        ]

        def place(batch: Sequence[int]) -> list[WordPlaces | None]:
            vocabulary = self._recognizer.pretrained.vocabulary
            scripts = [Script.from_lines([chunk[number].text], vocabulary) for number in batch]
            return place_words(self._recognizer, [samples[number] for number in batch], scripts)

        found: list[WordPlaces | None] = [None] * len(chunk)
        with self._recognizer.threads() as threads:
            for batch, placed in zip(batches, threads.map(place, batches), strict=True):
                for number, words in zip(batch, placed, strict=True):
                    found[number] = words
        return found, faults

    def _warn(self, faults: Sequence[str]) -> None:
        for fault in faults[: max(_NAMED - self.unreadable, 0)]:
            log.warning("%s", fault)
        self.unreadable += len(faults)


def _line(first: int, words: Sequence[WordPlaces | None]) -> str:
    content: dict[str, Any] = {
        "first": first,
        "words": [None if one is None else asdict(one) for one in words],
    }
    return json.dumps(content, ensure_ascii=False) + "\n"
