"""Zeroth-Korean (OpenSLR 40): FLAC files in LibriSpeech's layout, train and test."""

from collections.abc import Iterator
from pathlib import Path

from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import read_librispeech_folder, source_folder, walk
from sorigeul.corpora.utterances import Layout, Rejected, Utterance

LAYOUT = "{train_data_01,test_data_01}/003/<speaker>/<speaker>_003.trans.txt"
SPLITS = {"train_data_01": "train", "test_data_01": "test"}
PUBLISHED = {
    "train": {"utterances": 22_263, "hours": 51.6, "speakers": 105},
    "test": {"utterances": 457, "hours": 1.2, "speakers": 10},
}


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of train and test; their folders may be anywhere under ``source``."""
    del out, options
    source = source_folder(source, LAYOUT)
    yield Layout(LAYOUT, PUBLISHED)
    for folder, names in walk(source):
        # The absolute path, since the source itself may be one of the two folders.
        splits = [SPLITS[name] for name in folder.absolute().parts if name in SPLITS]
        if splits:
            yield from read_librispeech_folder(folder, names, source, folder.name, splits[-1])
