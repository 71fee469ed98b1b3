"""A corpus of pieces that a command has cut out of recordings, with texts that it found for them.

Two tables: one of the pieces that are good enough, of which the corpus is prepared, and one of all,
for whoever looks them through. What was found in a recording is kept, so that an interrupted
command goes on from there.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sorigeul.base import plots
from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing, write_text
from sorigeul.base.outputs import PLOT as PLOT_BEGINS
from sorigeul.base.outputs import Output, refuse_overwriting
from sorigeul.base.printable import printable
from sorigeul.base.progress import progress_bar
from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.corpus_files import refuse_archives, refuse_unusable_places
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.preparation import prepare
from sorigeul.corpora.report import Report
from sorigeul.corpora.written_table import WrittenTable
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.sound.encoding import encode

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Piece:
    """A piece of a recording and its text."""

    start: float
    """in seconds"""
    end: float
    text: str


PieceT = TypeVar("PieceT", bound=Piece)


class CutRecording(Protocol):
    """What a command has found in a recording: a dataclass."""

    @property
    def utterances(self) -> Sequence[Piece]:
        """Its pieces, in order."""


Found = TypeVar("Found", bound=CutRecording)


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
    figures: tuple[str, ...]
    """what is known of each piece, by the names of its fields; the plot is of the first"""

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
        self._written_table.refuse_to_lose()
        rows = self._written_table.content.splitlines()[1:]
        others = sorted({row.split("\t")[self.header.index("recording")] for row in rows} - names)
        if others:
            raise UserError(
                f"{self.out} holds the utterances of {others[0]}: choose another place, give both "
                "recordings in one call, or --overwrite"
            )

    @property
    def header(self) -> tuple[str, ...]:
        """The columns of the table."""
        return ("audio", "text", "speaker", "recording", "start", "end", *self.figures)

    @property
    def _long_header(self) -> tuple[str, ...]:
        return ("kept", *self.header)

    def cut(
        self,
        recordings: Mapping[str, Path],
        key: Callable[[str], str],
        restore: Callable[[Any], Found],
        find: Callable[[str, Path], Found],
    ) -> Iterator[tuple[str, Found]]:
        """The name of each recording, and what is found in it, now or by an earlier call.

        `key` has everything that decides what is found, but the recording. `restore` makes it of
        its JSON. `find` finds it anew, and writes its pieces. Recordings that cannot be read are
        named in warnings, or in the UserError that is raised if none can.
        """
        readable = False
        for name, path in recordings.items():
            try:
                size, modified = _file_version(path)
                whole_key = hashlib.sha256(f"{key(name)} {size} {modified}".encode()).hexdigest()
                found = self._known(name, whole_key, restore)
                if found is None:
                    found = find(name, path)
                    self._remember(name, whole_key, found)
            except AudioError as error:
                if len(recordings) == 1:
                    raise
                log.warning("%s", error)
                continue
            readable = True
            yield name, found
        if not readable:
            raise UserError("none of the recordings could be read, as said above")

    def write(
        self,
        pieces: Mapping[str, Sequence[PieceT]],
        is_good: Callable[[PieceT], bool],
        marks: Mapping[str, float],
    ) -> bool:
        """Write the tables and the plot of pieces, by the name of their recording.

        Returns whether any piece is good enough. If none is, there is nothing to prepare a corpus
        of, and what is there of an earlier one stays. `marks` are drawn into the plot.
        """
        table, everything = [self.header], [self._long_header]
        for name, of_recording in pieces.items():
            for piece in of_recording:
                figures = (getattr(piece, figure) for figure in ("start", "end", *self.figures))
                place = str(piece_path(name, piece))
                row = (place, piece.text, name, name, *(f"{figure:.3f}" for figure in figures))
                is_kept = is_good(piece)
                everything.append(("yes" if is_kept else "no", *row))
                if is_kept:
                    table.append(row)
        table_text, all_text = (
            "".join("\t".join(row) + "\n" for row in rows) for rows in (table, everything)
        )
        write_text(self.out / self.all, all_text)
        shown = self.figures[0]
        values = [getattr(piece, shown) for one in pieces.values() for piece in one]
        plots.histogram(self.out / self.plot, f"Utterances by {shown}", shown, values, marks)
        if len(table) == 1:
            return False
        self._written_table.write(table_text)
        for name, of_recording in pieces.items():
            self._remove_earlier_pieces(name, of_recording)
        return True

    def _remove_earlier_pieces(self, recording: str, pieces: Sequence[Piece]) -> None:
        """Remove what an earlier call has cut out of a recording in another way."""
        kept = {self.out / piece_path(recording, piece) for piece in pieces}
        own = re.compile(rf"{re.escape(Path(recording).name)}-\d{{8,}}-\d{{8,}}\.flac")
        for path in (self.out / "audio" / recording).glob("*.flac"):
            if own.fullmatch(path.name) and path not in kept:
                path.unlink()

    def prepare(self, read: int, recordings: int, options: PrepareOptions) -> Report:
        """Prepare the corpus of the table, which is of those of the recordings that were read.

        Raises UserError, after everything else, if that is not all of them.
        """
        report = prepare(CORPORA["table"], self.out / self.table, self.out, options)
        if failed := recordings - read:
            raise UserError(
                f"{failed} of {recordings} recordings could not be read, as said above; the corpus "
                f"in {self.out} has all the others"
            )
        return report

    @property
    def _written_table(self) -> WrittenTable:
        return WrittenTable(self.out / self.table, self.out / self.found)

    def _known(self, recording: str, key: str, restore: Callable[[Any], Found]) -> Found | None:
        """What an earlier call has found with the same key; None if nothing, or a piece is gone."""
        try:
            content = json.loads(self._found(recording).read_text(encoding="utf-8"))
            if content["key"] != key:
                return None
            found = restore(content["found"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # it is found anew
        places = (self.out / piece_path(recording, piece) for piece in found.utterances)
        return found if all(place.is_file() for place in places) else None

    def _remember(self, recording: str, key: str, found: Any) -> None:
        """Keep what was found in a recording for the next call."""
        content = {"key": key, "found": asdict(found)}
        write_text(self._found(recording), json.dumps(content, ensure_ascii=False) + "\n")

    def _found(self, recording: str) -> Path:
        return self.out / self.found / f"{recording}.json"


@contextmanager
def hearing(recording: Path, name: str) -> Iterator[Iterator[Samples]]:
    """The blocks of samples (n,) of a recording at 16 kHz, with a progress bar.

    After the block a warning says what was left out or changed because it is damaged.
    """
    with (
        audio.open_stream(recording) as stream,
        progress_bar("hearing", audio.probe(recording), counted=False) as advance,
    ):

        def blocks() -> Iterator[Samples]:
            for (block,) in stream:
                yield block
                advance(len(block) / SAMPLE_RATE, printable(name, keep=""))

        yield blocks()
    if stream.repairs:
        log.warning("%s: %s", recording, "; ".join(stream.repairs))


def _file_version(recording: Path) -> tuple[int, int]:
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


def piece_path(recording: str, piece: Piece) -> Path:
    """Where a piece of a recording is, from the folder of the corpus.

    Its times are in its name, in milliseconds, so that no other cut takes its place.
    """
    times = f"{round(1000 * piece.start):08}-{round(1000 * piece.end):08}"
    return Path("audio", recording, f"{Path(recording).name}-{times}.flac")


def write_piece(path: Path, samples: Samples) -> None:
    """Write samples (N,) at 16 kHz as 16-bit FLAC, whole or not at all."""
    content = encode(samples)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
