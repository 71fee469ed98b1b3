"""FLEURS ko_kr (Conneau et al. 2022): one TSV file without a header for each split."""

from collections.abc import Iterator
from pathlib import Path

from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import folder_with, lines, reject_untranscribed
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
        if (folder / f"{split}.tsv").is_file():
            yield from _read_split(folder, split)


def _read_split(folder: Path, split: str) -> Iterator[Utterance | Rejected]:
    audio_folder = folder / "audio" / split
    transcribed = set()
    for where, line in lines(folder / f"{split}.tsv", folder):
        fields = line.split("\t")
        if len(fields) < 4:
            reason = f"{len(fields)} fields; expected at least 4: id, file, raw, normalised"
            yield Rejected(where, reason, where)
            continue
        audio = audio_folder / fields[1]
        transcribed.add(audio)
        yield Utterance(audio.stem, audio, fields[3], None, split, where=where)
    untranscribed = sorted(set(audio_folder.glob("*.wav")) - transcribed)
    yield from reject_untranscribed(untranscribed, folder)
