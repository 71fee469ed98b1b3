"""A transcription as txt, json, srt, vtt or tsv. Knows formats, nothing of recognition."""

import json
from collections.abc import Callable

from sorigeul.recognition.transcription import Segment, Transcription


def txt(transcription: Transcription) -> str:
    """One segment a line."""
    return "".join(f"{segment.text}\n" for segment in transcription.segments)


def json_(transcription: Transcription) -> str:
    """Text, language, duration and segments; times in seconds."""
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
    """SubRip: numbered, `00:00:01,500 --> 00:00:03,000`."""
    return "".join(
        f"{number}\n{_clock(segment.start, ',')} --> {_clock(segment.end, ',')}\n{segment.text}\n\n"
        for number, segment in enumerate(_spoken(transcription), 1)
    )


def vtt(transcription: Transcription) -> str:
    """WebVTT (W3C), `00:00:01.500 --> 00:00:03.000`."""
    cues = "".join(
        f"{_clock(segment.start, '.')} --> {_clock(segment.end, '.')}\n{_escaped(segment.text)}\n\n"
        for segment in _spoken(transcription)
    )
    return f"WEBVTT\n\n{cues}"


def tsv(transcription: Transcription) -> str:
    """Start and end in milliseconds, text."""
    rows = (
        f"{round(1000 * one.start)}\t{round(1000 * one.end)}\t{one.text}\n"
        for one in transcription.segments
    )
    return "start\tend\ttext\n" + "".join(rows)


WRITERS: dict[str, Callable[[Transcription], str]] = {
    "txt": txt,
    "json": json_,
    "srt": srt,
    "vtt": vtt,
    "tsv": tsv,
}


def _spoken(transcription: Transcription) -> list[Segment]:
    """An empty cue ends a block in both subtitle formats, so silent segments have none."""
    return [segment for segment in transcription.segments if segment.text]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(1000 * seconds)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"
