"""FLEURS ko_kr (Conneau et al. 2022): one TSV file without a header for each split."""

from collections.abc import Iterator
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import (
    Recordings,
    folder_with,
    lines,
    walk,
    without_audio,
)
from sorigeul.corpora.utterances import Layout, Rejected, Utterance

LAYOUT = "train.tsv, dev.tsv, test.tsv (id, file, raw, normalised) and audio/<split>/*.wav"
SPLITS = ("train", "dev", "test")


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of the published splits, with the normalised transcripts.

    An utterance is identified by its file, because the id column names the sentence, which several
    speakers read.
    """
    del out, options
    folder = folder_with("train.tsv", source, "ko_kr", LAYOUT)
    yield Layout(LAYOUT)
    for split in SPLITS:
        if (folder / f"{split}.tsv").exists():
            yield from _read_split(folder, split)


def _read_split(folder: Path, split: str) -> Iterator[Utterance | Rejected]:
    audio_folder = folder / "audio" / split
    files = (
        (subfolder, name)
        for subfolder, names in (walk(audio_folder) if audio_folder.is_dir() else ())
        for name in names
        if name.lower().endswith(".wav")
    )
    recordings = Recordings(files, folder)
    yield from recordings.rejected
    for where, line in lines(folder / f"{split}.tsv", folder):
        fields = line.split("\t")
        if len(fields) < 4:
            reason = f"{len(fields)} fields; expected at least 4: id, file, raw, normalised"
            yield Rejected(where, reason, where)
            continue
        name = fields[1]
        try:
            audio = recordings.find(name)
        except UserError as error:
            yield without_audio(Path(name).stem, error, where)
            continue
        yield Utterance(Path(name).stem, audio, fields[3], None, split, where=where)
    yield from recordings.reject_untranscribed()
