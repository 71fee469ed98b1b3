"""Utterances as lhotse cuts: the lines of a manifest."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sorigeul.corpora.report import to_json
from sorigeul.corpora.utterances import Utterance
from sorigeul.sound.audio import SAMPLE_RATE


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
        "recording": recording_fields(utterance, *place),
        **({"custom": dict(custom)} if custom else {}),
        "type": "MonoCut",
    }
    return to_json(cut) + "\n"


def recording_fields(utterance: Utterance, kind: str, source: str) -> dict[str, Any]:
    """Return what lhotse reads as the ``Recording`` of ``utterance``, at ``source``.

    Rate and channel are those of ``sorigeul.sound.audio.load``, not of the file.
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
