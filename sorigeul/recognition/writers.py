"""Output formats of a transcription: txt, json, srt, vtt and tsv.

A writer gives the content piece by piece, so that text can be shown as it is recognised.
"""

import json
from abc import ABC, abstractmethod
from itertools import groupby
from operator import attrgetter
from typing import Any

from sorigeul.recognition.subtitles import LINE, Cue, Subtitles, cue_words
from sorigeul.recognition.transcription import Segment, Transcription, Word


class Writer:
    """One transcription in one format: a head, a piece for each segment, and a tail.

    A piece may be empty: subtitles wait for what comes next. `word_times` asks srt and vtt for the
    time of each word; json has them always, txt and tsv never. `subtitle_line` is the most
    characters of a line of srt and vtt. Raises UserError if it is too short to read.
    """

    head = ""

    def __init__(self, word_times: bool = False, subtitle_line: int = LINE) -> None:
        self.word_times = word_times
        self.subtitle_line = subtitle_line

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
    """JSON with text, language, duration, account and segments; times in seconds.

    Where the text is in written form, what was heard is there as `spoken`, too.
    """

    def tail(self, transcription: Transcription) -> str:
        content = {
            "text": transcription.text,
            **spoken_fields(transcription),
            "language": transcription.language,
            "duration": round(transcription.duration, 3),
            "account": list(transcription.account),
            "segments": [segment_fields(segment) for segment in transcription.segments],
        }
        return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


class _SubtitleWriter(Writer, ABC):
    """Subtitles; how each of them is written is left to the format."""

    def __init__(self, word_times: bool = False, subtitle_line: int = LINE) -> None:
        super().__init__(word_times, subtitle_line)
        self.subtitles = Subtitles(subtitle_line)

    def segment(self, segment: Segment) -> str:
        return "".join(map(self.cue, self.subtitles.feed(segment)))

    def tail(self, transcription: Transcription) -> str:
        return "".join(map(self.cue, self.subtitles.finish(transcription.duration)))

    @abstractmethod
    def cue(self, cue: Cue) -> str:
        """The next subtitle."""


class _Srt(_SubtitleWriter):
    """SubRip: numbered subtitles with times as in `00:00:01,500 --> 00:00:03,000`.

    The format has no times within a subtitle. So with `word_times` each word is one.
    """

    number = 0

    def segment(self, segment: Segment) -> str:
        if not self.word_times:
            return super().segment(segment)
        words = cue_words(segment)
        cues = [Cue(word.start, word.end, ((word,),), segment.channel) for word in words]
        return "".join(map(self.cue, cues))

    def cue(self, cue: Cue) -> str:
        self.number += 1
        channel = f"{cue.channel}: " if cue.channel else ""
        times = f"{_time(cue.start, ',')} --> {_time(cue.end, ',')}"
        return f"{self.number}\n{times}\n{channel}{cue.text}\n\n"


class _Vtt(_SubtitleWriter):
    """WebVTT (W3C): subtitles with times as in `00:00:01.500 --> 00:00:03.000`.

    Doubtful text has the class `doubtful`, which a style sheet can show; a channel is a voice. With
    `word_times` the time of each word stands before it, as in `<00:00:01.750>`.
    """

    head = "WEBVTT\n\n"

    def cue(self, cue: Cue) -> str:
        texts = iter(_timed_words(cue) if self.word_times else _plain_words(cue))
        lines = []
        for line in cue.lines:
            runs = []
            for doubtful, words in groupby(line, attrgetter("doubtful")):
                run = " ".join(next(texts) for _ in words)
                runs.append(f"<c.doubtful>{run}</c>" if doubtful else run)
            lines.append(" ".join(runs))
        text = "\n".join(lines)
        if cue.channel:
            text = f"<v {cue.channel}>{text}</v>"
        return f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{text}\n\n"


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


def write(
    format: str,
    transcription: Transcription,
    word_times: bool = False,
    subtitle_line: int = LINE,
) -> str:
    """The content of a file in a format of `WRITERS`; the options are those of `Writer`."""
    writer = WRITERS[format](word_times, subtitle_line)
    segments = "".join(map(writer.segment, transcription.segments))
    return writer.head + segments + writer.tail(transcription)


def segment_fields(segment: Segment) -> dict[str, Any]:
    """A segment as JSON has it; times in seconds."""
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
        **spoken_fields(segment),
        "confidence": round(segment.confidence, 4),
        "finished": segment.finished,
        "doubtful": segment.doubtful,
        **({"repetitive": True} if segment.repetitive else {}),
        "words": [word_fields(word) for word in segment.words],
        **nbest,
    }


def spoken_fields(heard: Segment | Transcription) -> dict[str, str]:
    """What was heard, as JSON has it beside a text in written form; nothing beside another."""
    return {} if heard.spoken is None else {"spoken": heard.spoken}


def word_fields(word: Word) -> dict[str, Any]:
    """A word as JSON has it; times in seconds."""
    return {
        "word": word.word,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": round(word.confidence, 4),
    }


def _plain_words(cue: Cue) -> list[str]:
    return [_escape(word.text) for word in cue.words]


def _timed_words(cue: Cue) -> list[str]:
    """The words of a WebVTT cue, each after its time.

    WebVTT wants these times to rise, and to be within the cue. The first word needs none if it
    begins with the cue.
    """
    words, latest = [], cue.start
    for word in cue.words:
        if latest < word.start < cue.end:
            words.append(f"<{_time(word.start, '.')}>{_escape(word.text)}")
            latest = word.start
        else:
            words.append(_escape(word.text))
    return words


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, decimal_mark: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    minutes, milliseconds = divmod(round(1000 * seconds), 60_000)
    hours, minutes = divmod(minutes, 60)
    whole, fraction = divmod(milliseconds, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{decimal_mark}{fraction:03}"
