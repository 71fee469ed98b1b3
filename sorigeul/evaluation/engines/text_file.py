"""Texts that some recogniser wrote elsewhere, in a file, as an engine."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from sorigeul.evaluation.engines.engine import Recognized, Utterance
from sorigeul.evaluation.transcript_files import read_transcripts


class TextFile:
    """A file that `evaluate --hyp` reads. How long its texts took is not known."""

    def __init__(self, path: Path, split: str) -> None:
        """Read the file. Raises UserError if it cannot be read."""
        self._file = read_transcripts(path, split)

    @property
    def fingerprint(self) -> str:
        """Of the texts."""
        return hashlib.sha256(repr(sorted(self._file.texts.items())).encode()).hexdigest()

    def transcribe(self, utterances: Sequence[Utterance]) -> Iterator[Recognized]:
        """Look up the text of each utterance."""
        texts, failures = self._file.texts, self._file.failures
        for utterance in utterances:
            error = failures.get(utterance.id, "")
            if utterance.id not in texts:
                error = f"no line in {self._file.path}"
            yield Recognized(utterance.id, texts.get(utterance.id, ""), error=error)
