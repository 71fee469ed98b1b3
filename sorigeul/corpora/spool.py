"""Utterances spooled to disk between two passes over a corpus."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sorigeul.base.errors import UserError
from sorigeul.corpora.utterances import Utterance


class Spool:
    """Utterances in an anonymous temporary file, in order: a large corpus needs no memory."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def add(self, utterance: Utterance) -> None:
        """Append ``utterance``."""
        fields = {**vars(utterance), "audio": str(utterance.audio), "transcript": None}
        self._file.write(json.dumps(fields) + "\n")

    def __iter__(self) -> Iterator[Utterance]:
        self._file.seek(0)
        for line in self._file:
            fields = json.loads(line)
            yield Utterance(**{**fields, "audio": Path(fields["audio"])})


@contextmanager
def spool(out: Path) -> Iterator[Spool]:
    """Open a spool on the disk that ``out`` is on, without creating ``out``."""
    place = next(each for each in (out, *out.absolute().parents) if each.is_dir())
    try:
        file = tempfile.TemporaryFile("w+", encoding="utf-8", dir=place)  # noqa: SIM115  closed below
    except OSError as error:
        raise UserError(f"{place}: cannot be written to ({error.strerror})") from error
    with file:
        yield Spool(file)
