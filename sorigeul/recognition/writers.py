"""Output formats of a transcription: txt, json, srt, vtt and tsv."""

import json
from collections.abc import Callable

from sorigeul.recognition.transcription import Segment, Transcription


def txt(transcription: Transcription) -> str:
    """Plain text with one segment in each line."""
    return "".join(f"{segment.text}\n" for segment in transcription.segments)


def json_(transcription: Transcription) -> str:
    """JSON with text, language, duration, account and segments; times in seconds."""
    content = {
        "text": transcription.text,
        "language": transcription.language,
        "duration": round(transcription.duration, 3),
        "account": list(transcription.account),
        "segments": [
            {
                "start": round(segment.start, 3),
                "end": round(segment.end, 3),
                "text": segment.text,
                "confidence": round(segment.confidence, 4),
                "finished": segment.finished,
            }
            for segment in transcription.segments
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def srt(transcription: Transcription) -> str:
    """SubRip: numbered subtitles with times as in `00:00:01,500 --> 00:00:03,000`."""
    return "".join(
        f"{number}\n{_time(segment.start, ',')} --> {_time(segment.end, ',')}\n{segment.text}\n\n"
        for number, segment in enumerate(_segments_with_text(transcription), 1)
    )


def vtt(transcription: Transcription) -> str:
    """WebVTT (W3C): subtitles with times as in `00:00:01.500 --> 00:00:03.000`."""
    cues = "".join(
        f"{_time(segment.start, '.')} --> {_time(segment.end, '.')}\n{_escaped(segment.text)}\n\n"
        for segment in _segments_with_text(transcription)
    )
    return f"WEBVTT\n\n{cues}"


def tsv(transcription: Transcription) -> str:
    """Tab-separated start, end (both in milliseconds) and text, one segment in each line."""
    rows = (
        f"{round(1000 * segment.start)}\t{round(1000 * segment.end)}\t{segment.text}\n"
        for segment in transcription.segments
    )
    return "start\tend\ttext\n" + "".join(rows)


WRITERS: dict[str, Callable[[Transcription], str]] = {
    "txt": txt,
    "json": json_,
    "srt": srt,
    "vtt": vtt,
    "tsv": tsv,
}
"""format -> function that gives the content of a file in that format"""


def _segments_with_text(transcription: Transcription) -> list[Segment]:
    """The segments for subtitles: in both formats a subtitle without text would end its block."""
    return [segment for segment in transcription.segments if segment.text]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, decimal_mark: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{decimal_mark}{fraction:03}"
