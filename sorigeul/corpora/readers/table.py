"""Your own recordings, listed in a table or in the files of a Hugging Face dataset."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.files import check_regular
from sorigeul.corpora.names import speaker_name
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import relative, walk
from sorigeul.corpora.split_names import SplitNames
from sorigeul.corpora.tables import arrow, excel, json_lines, separated_values
from sorigeul.corpora.tables.columns import NEEDED, Row
from sorigeul.corpora.tables.embedded_audio import EmbeddedRecording
from sorigeul.corpora.utterances import Layout, Rejected, Utterance
from sorigeul.sound.moved_recordings import find_relocation
from sorigeul.sound.recording_paths import RecordingFinder, with_slashes
from sorigeul.text.file_encoding import read_text_file

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}  # Excel calls its Unicode text .txt
_EXCEL = (".xlsx", ".xlsm")
_KINDS = ".csv, .tsv, .jsonl, .json, .xlsx, .parquet or .arrow"
_ROWS_FOR_AUDIO_ROOT = 100


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield an utterance for each row; paths in ``audio`` are relative to the table's folder.

    ``source`` is a table, or a folder of Parquet and Arrow files, as Hugging Face's ``datasets``
    has them. Recordings that are within a table are written to ``out/audio``.
    """
    if source is None or not source.exists():
        raise UserError(f"{source}: no such file; give a {_KINDS} table with {NEEDED}")
    folder, files = (source, _dataset_files(source)) if source.is_dir() else (source.parent, None)
    yield Layout(f"{'table' if files is None else 'dataset'} of {NEEDED}")
    splits = SplitNames()
    for file in files or [source]:
        table = _Table(file, relative(file, folder), out, splits)
        yield from table.items(options.audio_root)


def normalizer_name(options: PrepareOptions) -> str:
    """Return the normaliser that reads AI Hub's marks, if ``options.text`` asks for it."""
    return f"kspon-{options.text}" if options.text else "plain"


def _dataset_files(folder: Path) -> list[Path]:
    """The Parquet and Arrow files of a dataset, without what `datasets` has cached beside them."""
    files = [
        subfolder / name
        for subfolder, names in walk(folder)
        for name in names
        if name.lower().endswith(arrow.SUFFIXES) and not name.startswith(("cache-", "tmp"))
    ]
    if not files:
        raise UserError(
            f"{folder}: holds no .parquet or .arrow file of a dataset; give a folder that does, or "
            f"a {_KINDS} table with {NEEDED}"
        )
    return files


def _rows(path: Path) -> Iterator[Row]:
    check_regular(path)
    suffix = path.suffix.lower()
    if suffix in arrow.SUFFIXES:
        return arrow.read_rows(path, str(path))
    if suffix in _EXCEL:
        return excel.read_rows(path, str(path))
    if suffix == ".jsonl":
        return json_lines.read_rows(read_text_file(path), str(path))
    if suffix == ".json":
        return json_lines.read_list(read_text_file(path), str(path))
    if suffix in _SEPARATORS:
        return separated_values.read_rows(read_text_file(path), str(path), _SEPARATORS[suffix])
    raise UserError(f"{path}: a table ends in {_KINDS}, not '{path.suffix}'")


@dataclass
class _Table:
    """A file with rows, and what is needed to make utterances of them."""

    path: Path
    name: str
    """relative to what the user gave; in messages and ids"""
    out: Path
    splits: SplitNames
    relocate: Callable[[str], str] = str
    """maps a path as written to its path now, if recordings have moved"""
    finder: RecordingFinder = field(default_factory=RecordingFinder)

    def items(self, audio_root: str) -> Iterator[Utterance | Rejected]:
        """Yield the utterance of each row, or why there is none."""
        rows = _rows(self.path)
        if audio_root:
            first = list(islice(rows, _ROWS_FOR_AUDIO_ROOT))
            rows = chain(first, rows)
            written = [row.content.audio for row in first if not isinstance(row.content, str)]
            paths = [self._absolute(name) for name in written if isinstance(name, str)]
            self.relocate = find_relocation(paths, Path(audio_root), self.path)
        of_file = None
        if self.path.suffix.lower() in arrow.SUFFIXES:
            of_file = self.splits.split_of_file(Path(self.name))
        for row in rows:
            where = f"{self.name}:{row.number}"
            try:
                yield self._utterance(row, where, of_file)
            except _UnusableRowError as fault:
                yield Rejected(fault.item or f"row {row.number}", str(fault), where)

    def _utterance(self, row: Row, where: str, split_of_file: str | None) -> Utterance:
        if isinstance(row.content, str):
            raise _UnusableRowError(row.content)
        audio, text, speaker, split_name = row.content
        if text is None or not audio:
            raise _UnusableRowError("audio or text is missing")
        if not isinstance(text, str):
            kind = f"the number {text}" if isinstance(text, int | float) else "a list or an object"
            raise _UnusableRowError(f"the text is {kind}: write it in quotation marks")
        if "\n" in text.strip() or "\r" in text.strip():
            raise _UnusableRowError(
                "the text has a line end, as where a stray quotation mark has swallowed the rows "
                "that follow: write it in one line"
            )
        split = self.splits.split(str(split_name)) if split_name else split_of_file
        if split_name and split is None:
            raise _UnusableRowError(f"split '{split_name}' is none of train, dev, test")
        if isinstance(audio, EmbeddedRecording):
            id_ = f"{Path(self.name).with_suffix('')}/{row.number:06d}{audio.extension}"
            path = audio.write(self.out / "audio" / id_)
        elif isinstance(audio, str):
            id_ = with_slashes(audio.strip())
            path = self._find(audio, id_)
        else:
            raise _UnusableRowError("audio is neither a path nor the bytes of a file")
        return Utterance(id_, path, text, speaker_name(speaker), split, where)

    def _find(self, written: str, id_: str) -> Path:
        if self.relocate is not str:
            written = self.relocate(self._absolute(written))
        try:
            return self.finder.find(written, self.path.parent)
        except UserError as error:
            raise _UnusableRowError(f"transcript without audio: {error}", id_) from error

    def _absolute(self, written: str) -> str:
        return str(self.path.absolute().parent / written)


class _UnusableRowError(Exception):
    """Why a row of a table cannot be used. ``item``: what the report calls it, if not its number"""

    def __init__(self, reason: str, item: str = "") -> None:
        super().__init__(reason)
        self.item = item
