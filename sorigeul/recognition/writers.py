"""Output formats of a transcription: txt, json, srt, vtt and tsv.

A writer gives the content piece by piece, so that text can be shown as it is recognised.
"""

import json
from typing import Any

from sorigeul.recognition.transcription import Segment, Transcription


class Writer:
    """One transcription in one format: a head, a piece for each segment, and a tail."""

    head = ""

    def segment(self, segment: Segment) -> str:
        """What the next segment adds."""
        return ""

    def tail(self, transcription: Transcription) -> str:
        """What follows the last segment."""
        return ""


class _Txt(Writer):
    """Plain text with one segment in each line."""

    def segment(self, segment: Segment) -> str:
        channel = f"{segment.channel}: " if segment.channel else ""
        return f"{channel}{segment.text}\n"


class _Json(Writer):
    """JSON with text, language, duration, account and segments; times in seconds."""

    def tail(self, transcription: Transcription) -> str:
        content = {
            "text": transcription.text,
            "language": transcription.language,
            "duration": round(transcription.duration, 3),
            "account": list(transcription.account),
            "segments": [_fields(segment) for segment in transcription.segments],
        }
        return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


class _Srt(Writer):
    """SubRip: numbered subtitles with times as in `00:00:01,500 --> 00:00:03,000`."""

    def __init__(self) -> None:
        self.number = 0

    def segment(self, segment: Segment) -> str:
        if not segment.text:  # a subtitle without text would end its block
            return ""
        self.number += 1
        times = f"{_time(segment.start, ',')} --> {_time(segment.end, ',')}"
        channel = f"{segment.channel}: " if segment.channel else ""
        return f"{self.number}\n{times}\n{channel}{segment.text}\n\n"


class _Vtt(Writer):
    """WebVTT (W3C): subtitles with times as in `00:00:01.500 --> 00:00:03.000`.

    Doubtful text has the class `doubtful`, which a style sheet can show; a channel is a voice.
    """

    head = "WEBVTT\n\n"

    def segment(self, segment: Segment) -> str:
        if not segment.text:
            return ""
        text = segment.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if segment.doubtful:
            text = f"<c.doubtful>{text}</c>"
        if segment.channel:
            text = f"<v {segment.channel}>{text}</v>"
        return f"{_time(segment.start, '.')} --> {_time(segment.end, '.')}\n{text}\n\n"


class _Tsv(Writer):
    """Tab-separated start, end (both in milliseconds) and text, one segment in each line."""

    head = "start\tend\ttext\n"

    def segment(self, segment: Segment) -> str:
        channel = f"{segment.channel}: " if segment.channel else ""
        times = f"{round(1000 * segment.start)}\t{round(1000 * segment.end)}"
        return f"{times}\t{channel}{segment.text}\n"


WRITERS: dict[str, type[Writer]] = {
    "txt": _Txt,
    "json": _Json,
    "srt": _Srt,
    "vtt": _Vtt,
    "tsv": _Tsv,
}
"""the writer of each format"""


def write(format: str, transcription: Transcription) -> str:
    """The content of a file in a format of `WRITERS`."""
    writer = WRITERS[format]()
    segments = "".join(map(writer.segment, transcription.segments))
    return writer.head + segments + writer.tail(transcription)


def _fields(segment: Segment) -> dict[str, Any]:
    channel = {"channel": segment.channel} if segment.channel else {}
    return {
        **channel,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "confidence": round(segment.confidence, 4),
        "finished": segment.finished,
        "doubtful": segment.doubtful,
    }


def _time(seconds: float, decimal_mark: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{decimal_mark}{fraction:03}"
