"""Temporary file of utterances, so that a large corpus does not have to fit in memory."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from sorigeul.base.errors import UserError
from sorigeul.base.files import naming
from sorigeul.corpora.utterances import Utterance
from sorigeul.sound.archive_members import ArchiveMember


class Spool:
    """Utterances in a temporary file. Iteration starts at the first one and keeps the order.

    An OSError of the file, which has no name, carries that of its `folder`.
    """

    def __init__(self, file: IO[str], folder: Path) -> None:
        self._file, self._folder = file, folder
        self._final: Callable[[str], str] = str

    def add(self, utterance: Utterance) -> None:
        """Append ``utterance``; its text is final, so ``transcript`` is dropped."""
        final = replace(utterance, transcript=None, faults=None)
        fields = {**vars(final), "audio": str(final.audio)}
        with naming(self._folder):
            self._file.write(json.dumps(fields) + "\n")

    def change_texts(self, change: Callable[[str], str]) -> None:
        """Apply ``change`` to the text of each utterance whenever it is read from now on."""
        self._final = change

    def __iter__(self) -> Iterator[Utterance]:
        with naming(self._folder):
            self._file.seek(0)  # writes what is left in the buffer
        for line in self._file:
            fields = json.loads(line)
            member = fields["member"]
            changed = {
                "audio": Path(fields["audio"]),
                "text": self._final(fields["text"]),
                "member": None if member is None else ArchiveMember(*member),
            }
            yield Utterance(**{**fields, **changed})


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
    try:
        yield Spool(file, folder)
    finally:
        # What is left in the buffer, for which there may be no room, is not needed any more.
        with suppress(OSError):
            file.close()
