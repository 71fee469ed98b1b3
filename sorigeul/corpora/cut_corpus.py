"""A corpus of pieces that a command has cut out of recordings, with texts that it found for them.

Two tables: one of the pieces that are good enough, of which the corpus is prepared, and one of all,
for whoever looks them through. What was found in a recording is kept, so that an interrupted
command goes on from there.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing, write_text
from sorigeul.base.outputs import PLOT as PLOT_BEGINS
from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.base.printable import printable
from sorigeul.corpora.corpus_files import manifest_paths, refuse_archives, refuse_unusable_places
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples

_HASH = "table.sha256"


@dataclass(frozen=True)
class CutCorpus:
    """The files of such a corpus in the folder `out`."""

    out: Path
    table: str
    """name of the table of the pieces that are good enough"""
    all: str
    """name of the table of all of them"""
    plot: str
    """name of a picture of how good they are"""
    found: str
    """name of the folder of what was found in each recording"""
    header: tuple[str, ...]
    """columns of the table; `recording` among them"""

    def refuse_unusable_places(
        self, inputs: Sequence[Path], recordings: Iterable[str], overwrite: bool
    ) -> None:
        """Raise UserError if something in the folder is in the way, of the corpus as of its tables.

        `recordings` are the names of those that will be in it.
        """
        outputs = [
            Output(self.out / self.table, "the table", "\t".join(self.header).encode()),
            Output(self.out / self.all, "the table of all", "\t".join(self._long_header).encode()),
            Output(self.out / self.plot, "the plot", PLOT_BEGINS),
        ]
        refuse_unusable_places(inputs, self.out, overwrite)
        refuse_archives(self.out)
        refuse_overwriting(outputs, inputs, overwrite)
        if not overwrite:
            self._refuse_to_lose_another_corpus(set(recordings))

    def _refuse_to_lose_another_corpus(self, names: set[str]) -> None:
        """Raise UserError if it is a corpus of other recordings, or one corrected by hand."""
        table = self.out / self.table
        if not table.is_file():
            if any(path.exists() for path in manifest_paths(self.out).values()):
                raise UserError(
                    f"{self.out} holds another corpus: choose another place, or --overwrite"
                )
            return
        content = table.read_bytes()
        if hashlib.sha256(content).hexdigest() not in self._written_hashes():
            raise UserError(
                f"{table} has been changed since it was written: 'sorigeul prepare table' makes a "
                "corpus of it as it is; --overwrite writes it anew"
            )
        rows = content.decode("utf-8").splitlines()[1:]
        others = sorted({row.split("\t")[self.header.index("recording")] for row in rows} - names)
        if others:
            raise UserError(
                f"{self.out} holds the utterances of {others[0]}: choose another place, give both "
                "recordings in one call, or --overwrite"
            )

    @property
    def _long_header(self) -> tuple[str, ...]:
        return ("kept", *self.header)

    def write_tables(self, rows: Iterable[tuple[bool, Sequence[str]]]) -> None:
        """Write both tables: whether a piece is good enough, and its columns."""
        table, everything = [self.header], [self._long_header]
        for is_kept, row in rows:
            everything.append(("yes" if is_kept else "no", *row))
            if is_kept:
                table.append(tuple(row))
        table_text, all_text = (
            "".join("\t".join(row) + "\n" for row in lines) for lines in (table, everything)
        )
        write_text(self.out / self.all, all_text)
        table_hash = hashlib.sha256(table_text.encode()).hexdigest()
        # That of the table before stays too: it is still there if the new one cannot be written.
        hashes = [*self._written_hashes()[-1:], table_hash]
        write_text(self.out / self.found / _HASH, " ".join(hashes))
        write_text(self.out / self.table, table_text)

    def _written_hashes(self) -> list[str]:
        """The hashes of the last tables that were written, the newest at the end."""
        path = self.out / self.found / _HASH
        return path.read_text().split() if path.is_file() else []

    def known(self, recording: str, key: str) -> Any:
        """What an earlier call has found in a recording with the same key; None if nothing."""
        try:
            content = json.loads(self._found(recording).read_text(encoding="utf-8"))
            return content["found"] if content["key"] == key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # it is found anew

    def remember(self, recording: str, key: str, found: Any) -> None:
        """Keep what was found in a recording, as JSON has it, for the next call."""
        content = {"key": key, "found": found}
        write_text(self._found(recording), json.dumps(content, ensure_ascii=False) + "\n")

    def _found(self, recording: str) -> Path:
        return self.out / self.found / f"{recording}.json"


def file_version(recording: Path) -> tuple[int, int]:
    """Size in bytes and time of the last change: whether a recording is the one of an earlier call.

    Raises AudioError if it has vanished since it was found.
    """
    try:
        status = recording.stat()
    except OSError as error:
        raise AudioError(
            f"{printable(str(recording))}: cannot be opened ({error.strerror}); check path and "
            "permissions"
        ) from error
    return status.st_size, status.st_mtime_ns


def refuse_unwritable_name(recording: Path, name: str) -> None:
    """Raise UserError if the `name` of a recording cannot stand in the tables.

    A row is a line, its cells end at tabs, and it is in UTF-8.
    """
    try:
        name.encode()
        writable = "\t" not in name and len(name.splitlines()) == 1
    except UnicodeEncodeError:
        writable = False
    if not writable:
        raise UserError(
            f"{recording}: has a tab, a line end or a byte that is no UTF-8 in its name, which a "
            "table cannot hold: rename it"
        )


def piece_path(recording: str, start: float, end: float) -> Path:
    """Where a piece of a recording is, from the folder of the corpus; times in seconds.

    They are in its name, in milliseconds, so that no other cut takes its place.
    """
    times = f"{round(1000 * start):08}-{round(1000 * end):08}"
    return Path("audio", recording, f"{Path(recording).name}-{times}.flac")


def write_piece(path: Path, samples: Samples) -> None:
    """Write samples (N,) at 16 kHz as 16-bit FLAC, whole or not at all."""
    file = io.BytesIO()  # since libsndfile says of a full disk only "System error", or nothing
    soundfile.write(file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    with replacing(path) as temporary:
        temporary.write_bytes(file.getvalue())
