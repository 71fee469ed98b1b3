"""Temporary file of utterances, so that a large corpus does not have to fit in memory."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sorigeul.base.errors import UserError
from sorigeul.corpora.utterances import Utterance


class Spool:
    """Utterances in a temporary file. Iteration starts at the first one and keeps the order."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def add(self, utterance: Utterance) -> None:
        """Append ``utterance``; its text is final, so ``transcript`` is dropped."""
        fields = {**vars(utterance), "audio": str(utterance.audio), "transcript": None}
        self._file.write(json.dumps(fields) + "\n")

    def __iter__(self) -> Iterator[Utterance]:
        self._file.seek(0)
        for line in self._file:
            fields = json.loads(line)
            yield Utterance(**{**fields, "audio": Path(fields["audio"])})


@contextmanager
def open_spool(out: Path) -> Iterator[Spool]:
    """Open a spool on the disk that holds ``out``, without creating ``out``.

    Raises:
        UserError: if no file can be written there.
    """
    folder = next(parent for parent in (out, *out.absolute().parents) if parent.is_dir())
    try:
        file = tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder)  # noqa: SIM115  closed below
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror})") from error
    with file:
        yield Spool(file)
