"""Reader for Mozilla Common Voice, Korean: TSV files and the clips they name."""

from collections.abc import Iterator
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import home_of, lines
from sorigeul.corpora.utterances import Layout, Rejected, Utterance

LOOKED_FOR = "train.tsv, dev.tsv, test.tsv (client_id, path, sentence) and clips/*.mp3"
SPLITS = ("train", "dev", "test")
COLUMNS = ("client_id", "path", "sentence")


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of the published splits (the folder ``ko`` among several).

    ``clips`` holds far more than the splits do (not validated, or repeated), so recordings
    without a transcript are no fault here.
    """
    del out, options
    home = home_of(source, "train.tsv", "ko", LOOKED_FOR)
    yield Layout(LOOKED_FOR)
    for split in SPLITS:
        if (home / f"{split}.tsv").is_file():
            yield from _rows(home / f"{split}.tsv", split)


def _rows(path: Path, split: str) -> Iterator[Utterance | Rejected]:
    rows = lines(path, path.parent)
    _, line = next(rows, ("", ""))
    header = line.split("\t")
    if missing := [column for column in COLUMNS if column not in header]:
        raise UserError(f"{path}: no column {', '.join(missing)}; found {', '.join(header)}")
    for where, line in rows:
        fields = line.split("\t")
        if len(fields) != len(header):
            reason = f"{len(fields)} fields where the header has {len(header)}"
            yield Rejected(where, reason, where)
            continue
        client, name, text = (fields[header.index(column)] for column in COLUMNS)
        audio = path.parent / "clips" / (name if Path(name).suffix else f"{name}.mp3")
        yield Utterance(audio.stem, audio, text, client, split, where=where)
