"""Reader for FLEURS ko_kr (Conneau et al. 2022): TSV files without a header."""

from collections.abc import Iterator
from pathlib import Path

from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import home_of, lines, unlisted
from sorigeul.corpora.utterances import Layout, Rejected, Utterance

LOOKED_FOR = "train.tsv, dev.tsv, test.tsv (id, file, raw, normalised) and audio/<split>/*.wav"
SPLITS = ("train", "dev", "test")


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of the published splits, with the normalised transcripts.

    The id column names the sentence, which several speakers read; the file tells utterances apart.
    """
    del out, options
    home = home_of(source, "train.tsv", "ko_kr", LOOKED_FOR)
    yield Layout(LOOKED_FOR)
    for split in SPLITS:
        if (home / f"{split}.tsv").is_file():
            yield from _rows(home, split)


def _rows(home: Path, split: str) -> Iterator[Utterance | Rejected]:
    recordings = home / "audio" / split
    listed = set()
    for where, line in lines(home / f"{split}.tsv", home):
        fields = line.split("\t")
        if len(fields) < 4:
            reason = f"{len(fields)} fields; expected at least 4: id, file, raw, normalised"
            yield Rejected(where, reason, where)
            continue
        audio = recordings / fields[1]
        listed.add(audio)
        yield Utterance(audio.stem, audio, fields[3], None, split, where=where)
    yield from unlisted(sorted(set(recordings.glob("*.wav")) - listed), home)
