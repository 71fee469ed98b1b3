"""Output formats of a transcription: txt, json, srt, vtt and tsv.

A writer gives the content piece by piece, so that text can be shown as it is recognised.
"""

import json
from typing import Any

from sorigeul.recognition.transcription import Segment, Transcription


class Writer:
    """One transcription in one format: a head, a piece for each segment, and a tail.

    `word_times` asks srt and vtt for the time of each word; json has them always, txt and tsv
    never.
    """

    head = ""

    def __init__(self, word_times: bool = False) -> None:
        self.word_times = word_times

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
    """SubRip: numbered subtitles with times as in `00:00:01,500 --> 00:00:03,000`.

    The format has no times within a subtitle. So with `word_times` each word is one.
    """

    def __init__(self, word_times: bool = False) -> None:
        super().__init__(word_times)
        self.number = 0

    def segment(self, segment: Segment) -> str:
        if not segment.text:  # a subtitle without text would end its block
            return ""
        if self.word_times and segment.words:
            cues = [(word.start, word.end, word.word) for word in segment.words]
        else:
            cues = [(segment.start, segment.end, segment.text)]
        channel = f"{segment.channel}: " if segment.channel else ""
        return "".join(self._cue(start, end, channel + text) for start, end, text in cues)

    def _cue(self, start: float, end: float, text: str) -> str:
        self.number += 1
        return f"{self.number}\n{_time(start, ',')} --> {_time(end, ',')}\n{text}\n\n"


class _Vtt(Writer):
    """WebVTT (W3C): subtitles with times as in `00:00:01.500 --> 00:00:03.000`.

    Doubtful text has the class `doubtful`, which a style sheet can show; a channel is a voice. With
    `word_times` the time of each word stands before it, as in `<00:00:01.750>`.
    """

    head = "WEBVTT\n\n"

    def segment(self, segment: Segment) -> str:
        if not segment.text:
            return ""
        text = _escape(segment.text)
        if self.word_times and segment.words:
            text = _timed_words(segment)
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


def write(format: str, transcription: Transcription, word_times: bool = False) -> str:
    """The content of a file in a format of `WRITERS`."""
    writer = WRITERS[format](word_times)
    segments = "".join(map(writer.segment, transcription.segments))
    return writer.head + segments + writer.tail(transcription)


def _fields(segment: Segment) -> dict[str, Any]:
    channel = {"channel": segment.channel} if segment.channel else {}
    nbest = {}
    if segment.alternatives:
        nbest["nbest"] = [
            {"text": text.text, "score": round(text.score, 4)} for text in segment.alternatives
        ]
    return {
        **channel,
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "confidence": round(segment.confidence, 4),
        "finished": segment.finished,
        "doubtful": segment.doubtful,
        **({"repetitive": True} if segment.repetitive else {}),
        "words": [
            {
                "word": word.word,
                "start": round(word.start, 3),
                "end": round(word.end, 3),
                "confidence": round(word.confidence, 4),
            }
            for word in segment.words
        ],
        **nbest,
    }


def _timed_words(segment: Segment) -> str:
    """The words of a WebVTT cue, each after its time.

    WebVTT wants these times to rise, and to be within the cue. The first word needs none if it
    begins with the cue.
    """
    pieces = []
    latest, end = round(1000 * segment.start), round(1000 * segment.end)
    for word in segment.words:
        time = round(1000 * word.start)
        if latest < time < end:
            pieces.append(f"<{_time(word.start, '.')}>{_escape(word.word)}")
            latest = time
        else:
            pieces.append(_escape(word.word))
    return " ".join(pieces)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, decimal_mark: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{decimal_mark}{fraction:03}"
