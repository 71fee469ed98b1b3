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
    the Shar file that holds the recording; without it the cut names the audio file, and the part of
    it that the utterance is. ``custom``: further fields of the cut. Where the audio file is a zip
    file, ``custom.member`` says which of its bytes are the recording, as in a Shar file.
    """
    duration = _samples(utterance.duration) / SAMPLE_RATE
    fields = dict(custom)
    if archive:
        start, recording = 0.0, archived_recording(utterance, archive)
    else:
        start = _samples(utterance.start or 0) / SAMPLE_RATE
        recording = _recording(utterance, "file", str(utterance.audio), _whole(utterance))
        if utterance.member is not None:
            member = utterance.member._asdict()
            fields["member"] = {name: value for name, value in member.items() if value is not None}
    supervision = {
        "id": utterance.id,
        "recording_id": utterance.id,
        "start": 0,
        "duration": duration,
        "channel": 0,
        "text": utterance.text,
        "language": "Korean",
        **({} if utterance.speaker is None else {"speaker": utterance.speaker}),
        "custom": {"normalizer": normalizer},
    }
    cut = {
        "id": utterance.id,
        "start": start or 0,
        "duration": duration,
        "channel": 0,
        "supervisions": [supervision],
        "recording": recording,
        **({"custom": fields} if fields else {}),
        "type": "MonoCut",
    }
    return to_json(cut) + "\n"


def archived_recording(utterance: Utterance, archive: str) -> dict[str, Any]:
    """Return the fields of lhotse's ``Recording`` for what a Shar file has: the utterance alone."""
    return _recording(utterance, "shar", archive, _samples(utterance.duration))


def _recording(utterance: Utterance, kind: str, source: str, samples: int) -> dict[str, Any]:
    """The fields of lhotse's ``Recording``: ``kind`` is ``file`` or ``shar``.

    Sampling rate and channel are those that ``sorigeul.sound.audio.load`` gives, not the file's.
    """
    return {
        "id": utterance.id,
        "sources": [{"type": kind, "channels": [0], "source": source}],
        "sampling_rate": SAMPLE_RATE,
        "num_samples": samples,
        "duration": samples / SAMPLE_RATE,
        "channel_ids": [0],
    }


def _whole(utterance: Utterance) -> int:
    """Samples of the whole recording: the utterance never ends after it, as lhotse demands."""
    end = _samples(utterance.start or 0) + _samples(utterance.duration)
    return max(end, _samples(utterance.recording_duration))


def _samples(seconds: float) -> int:
    """Number of samples at `SAMPLE_RATE`."""
    return round(seconds * SAMPLE_RATE)
