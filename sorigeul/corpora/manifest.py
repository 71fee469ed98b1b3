"""Utterances on disk: between two passes, and as lhotse's cuts. Knows nothing of any corpus."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sorigeul.audio import SAMPLE_RATE
from sorigeul.corpora.items import Utterance
from sorigeul.corpora.report import to_json
from sorigeul.errors import UserError


class Spool:
    """Utterances put aside in a nameless file, in order, so that a large corpus needs no memory."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def add(self, utterance: Utterance) -> None:
        """Put ``utterance`` aside."""
        fields = {**vars(utterance), "audio": str(utterance.audio)}
        self._file.write(json.dumps(fields) + "\n")

    def __iter__(self) -> Iterator[Utterance]:
        self._file.seek(0)
        for line in self._file:
            fields = json.loads(line)
            yield Utterance(**{**fields, "audio": Path(fields["audio"])})


@contextmanager
def spool(out: Path) -> Iterator[Spool]:
    """Open a spool on the disk that ``out`` is on, without creating ``out``."""
    place = next(each for each in (out, *out.absolute().parents) if each.is_dir())
    try:
        file = tempfile.TemporaryFile("w+", encoding="utf-8", dir=place)  # noqa: SIM115  closed below
    except OSError as error:
        raise UserError(f"{place}: cannot be written to ({error.strerror})") from error
    with file:
        yield Spool(file)


def cut_line(utterance: Utterance, normalizer: str) -> str:
    """Return the line that ``lhotse.CutSet.from_jsonl_lazy`` reads as one ``MonoCut``.

    Written out rather than through lhotse, whose import costs longer than a small corpus takes.
    Rate and channel are those of ``sorigeul.audio.load``, not of the file.
    """
    samples = round(utterance.duration * SAMPLE_RATE)
    span = {"start": 0, "duration": samples / SAMPLE_RATE, "channel": 0}
    supervision = {
        "id": utterance.id,
        "recording_id": utterance.id,
        **span,
        "text": utterance.text,
        "language": "Korean",
        **({} if utterance.speaker is None else {"speaker": utterance.speaker}),
        "custom": {"normalizer": normalizer},
    }
    recording = {
        "id": utterance.id,
        "sources": [{"type": "file", "channels": [0], "source": str(utterance.audio)}],
        "sampling_rate": SAMPLE_RATE,
        "num_samples": samples,
        "duration": samples / SAMPLE_RATE,
        "channel_ids": [0],
    }
    cut = {"id": utterance.id, **span, "supervisions": [supervision], "recording": recording}
    return to_json({**cut, "type": "MonoCut"}) + "\n"
