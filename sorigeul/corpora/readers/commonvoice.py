"""Mozilla Common Voice, Korean: one TSV file for each split, clips as MP3."""

from collections.abc import Iterator
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import folder_with, lines, without_audio
from sorigeul.corpora.utterances import Layout, Rejected, Utterance
from sorigeul.sound.recording_paths import RecordingFinder

LAYOUT = "train.tsv, dev.tsv, test.tsv (client_id, path, sentence) and clips/*.mp3"
SPLITS = ("train", "dev", "test")
COLUMNS = ("client_id", "path", "sentence")


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of the published splits, from the folder ``ko`` if there are several.

    Recordings without a transcript are not rejected: ``clips`` holds many more recordings than the
    splits name (not validated, or repeated).
    """
    del out, options
    folder = folder_with("train.tsv", source, "ko", LAYOUT)
    yield Layout(LAYOUT)
    for split in SPLITS:
        if (folder / f"{split}.tsv").exists():
            yield from _read_split(folder / f"{split}.tsv", split)


def _read_split(path: Path, split: str) -> Iterator[Utterance | Rejected]:
    rows = lines(path, path.parent)
    _, line = next(rows, ("", ""))
    header = line.split("\t")
    if missing := [column for column in COLUMNS if column not in header]:
        raise UserError(f"{path}: no column {', '.join(missing)}; found {', '.join(header)}")
    finder = RecordingFinder()
    for where, line in rows:
        fields = line.split("\t")
        if len(fields) != len(header):
            reason = f"{len(fields)} fields where the header has {len(header)}"
            yield Rejected(where, reason, where)
            continue
        speaker, name, text = (fields[header.index(column)] for column in COLUMNS)
        name = name if Path(name).suffix else f"{name}.mp3"
        try:
            audio = finder.find(name, path.parent / "clips")
        except UserError as error:
            yield without_audio(Path(name).stem, error, where)
            continue
        yield Utterance(Path(name).stem, audio, text, speaker, split, where=where)
