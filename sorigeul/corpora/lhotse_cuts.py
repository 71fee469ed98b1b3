"""Utterances as lhotse cuts: the lines of a manifest."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sorigeul.corpora.json_text import to_json
from sorigeul.corpora.utterances import Utterance
from sorigeul.sound.audio import SAMPLE_RATE


def cut_line(
    utterance: Utterance,
    normalizer: str,
    archive: str = "",
    custom: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Return a line of JSON that ``lhotse.CutSet.from_jsonl_lazy`` reads as one ``MonoCut``.

    Written without lhotse, whose import takes longer than preparing a small corpus. ``archive`` is
    the Shar file that holds the recording; without it the cut names the audio file. ``custom``:
    further fields of the cut.
    """
    samples = _samples(utterance)
    span = {"start": 0, "duration": samples / SAMPLE_RATE, "channel": 0}
    storage = ("shar", archive) if archive else ("file", str(utterance.audio))
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
        "recording": recording_fields(utterance, *storage),
        **({"custom": dict(custom)} if custom else {}),
        "type": "MonoCut",
    }
    return to_json(cut) + "\n"


def recording_fields(utterance: Utterance, kind: str, source: str) -> dict[str, Any]:
    """Return the fields of lhotse's ``Recording``: ``kind`` is ``file`` or ``shar``.

    Sampling rate and channel are those that ``sorigeul.sound.audio.load`` gives, not the file's.
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
    """Number of samples at `SAMPLE_RATE`."""
    return round(utterance.duration * SAMPLE_RATE)
