"""Pansori TEDxKR (OpenSLR 58; Choi and Lee 2018): LibriSpeech's layout, encoded speaker names."""

import base64
from collections.abc import Iterator
from pathlib import Path

from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import read_librispeech_folder, source_folder, walk
from sorigeul.corpora.utterances import Layout, Rejected, Utterance

LAYOUT = "data/<speaker>/<talk>/<speaker>-<talk>.trans.txt"
PUBLISHED = {"all": {"utterances": 2_987, "hours": 2.69, "speakers": 41}}


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of every talk. The corpus has no splits of its own."""
    del out, options
    source = source_folder(source, LAYOUT)
    yield Layout(LAYOUT, PUBLISHED)
    for folder, names in walk(source):
        speaker = speaker_name(folder.parent.name)
        yield from read_librispeech_folder(folder, names, source, speaker, None)


def speaker_name(folder_name: str) -> str:
    """Decode a speaker's name from URL-safe base64 of UTF-8; unchanged if it is not that."""
    padding = "=" * (-len(folder_name) % 4)
    try:
        name = base64.b64decode(folder_name + padding, altchars=b"-_", validate=True)
        return name.decode("utf-8") or folder_name
    except ValueError:
        return folder_name
