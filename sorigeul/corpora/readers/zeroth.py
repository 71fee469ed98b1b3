"""Reader for Zeroth-Korean (OpenSLR 40). It has no dev, which is drawn from train by speaker."""

from collections.abc import Iterator
from pathlib import Path

from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import folder, transcribed_folder, walk
from sorigeul.corpora.utterances import Layout, Rejected, Utterance

LOOKED_FOR = "{train_data_01,test_data_01}/003/<speaker>/<speaker>_003.trans.txt"
SPLITS = {"train_data_01": "train", "test_data_01": "test"}
PUBLISHED = {
    "train": {"utterances": 22_263, "hours": 51.6, "speakers": 105},
    "test": {"utterances": 457, "hours": 1.2, "speakers": 10},
}


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of both parts, wherever under ``source`` their folders stand."""
    del out, options
    source = folder(source, LOOKED_FOR)
    yield Layout(LOOKED_FOR, PUBLISHED)
    for place, names in walk(source):
        # The source itself may be one of the two parts.
        splits = [SPLITS[part] for part in place.absolute().parts if part in SPLITS]
        if splits:
            yield from transcribed_folder(place, names, source, place.name, splits[-1])
