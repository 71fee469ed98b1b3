"""Utterances on disk: between two passes, and as lhotse's cuts. Knows nothing of any corpus."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

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
        fields = {**vars(utterance), "audio": str(utterance.audio), "transcript": None}
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


def cut_line(
    utterance: Utterance,
    normalizer: str,
    archive: str = "",
    custom: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Return the line that ``lhotse.CutSet.from_jsonl_lazy`` reads as one ``MonoCut``.

    Written out rather than through lhotse, whose import costs longer than a small corpus takes.
    ``archive`` names the file that holds the recording, if not one of its own; ``custom`` is what
    else the cut should say.
    """
    samples = _samples(utterance)
    span = {"start": 0, "duration": samples / SAMPLE_RATE, "channel": 0}
    place = ("shar", archive) if archive else ("file", str(utterance.audio))
    supervision = {
        "id": utterance.id,
        "recording_id": utterance.id,
        **span,
        "text": utterance.text,
        "language": "Korean",
        **({} if utterance.speaker is None else {"speaker": utterance.speaker}),
        "custom": {"normalizer": normalizer},
    }
    cut = {
        "id": utterance.id,
        **span,
        "supervisions": [supervision],
        "recording": recording(utterance, *place),
        **({"custom": dict(custom)} if custom else {}),
        "type": "MonoCut",
    }
    return to_json(cut) + "\n"


def recording(utterance: Utterance, kind: str, source: str) -> dict[str, Any]:
    """Return what lhotse reads as the ``Recording`` of ``utterance``, at ``source``.

    Rate and channel are those of ``sorigeul.audio.load``, not of the file.
    """
    return {
        "id": utterance.id,
        "sources": [{"type": kind, "channels": [0], "source": source}],
        "sampling_rate": SAMPLE_RATE,
        "num_samples": _samples(utterance),
        "duration": _samples(utterance) / SAMPLE_RATE,
        "channel_ids": [0],
    }


def _samples(utterance: Utterance) -> int:
    return round(utterance.duration * SAMPLE_RATE)
