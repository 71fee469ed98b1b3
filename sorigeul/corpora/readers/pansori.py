"""Reader for Pansori TEDxKR (OpenSLR 58; Choi and Lee 2018): folders with encoded names."""

import base64
from collections.abc import Iterator
from pathlib import Path

from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.readers.reader_helpers import folder, transcribed_folder, walk
from sorigeul.corpora.utterances import Layout, Rejected, Utterance

LOOKED_FOR = "data/<speaker>/<talk>/<speaker>-<talk>.trans.txt"
PUBLISHED = {"all": {"utterances": 2_987, "hours": 2.69, "speakers": 41}}


def read(
    source: Path | None, out: Path, options: PrepareOptions
) -> Iterator[Utterance | Rejected | Layout]:
    """Yield the utterances of every talk; the corpus has no split of its own."""
    del out, options
    source = folder(source, LOOKED_FOR)
    yield Layout(LOOKED_FOR, PUBLISHED)
    for place, names in walk(source):
        yield from transcribed_folder(place, names, source, speaker_name(place.parent.name), None)


def speaker_name(code: str) -> str:
    """Decode a speaker's folder name (URL-safe base64 of UTF-8); other names stay as they are."""
    try:
        name = base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_", validate=True)
        return name.decode("utf-8") or code
    except ValueError:
        return code
