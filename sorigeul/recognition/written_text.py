"""Transcriptions with numbers, units and letters as they are written: 70% for 칠십 퍼센트.

Each segment is converted by itself, so that text is final as soon as its segment is.
"""

from dataclasses import replace

from sorigeul.recognition.live import FinalSegment, LiveEvent, ProvisionalText
from sorigeul.recognition.transcription import Segment, Transcription, Word


def written_transcription(transcription: Transcription) -> Transcription:
    """The transcription with `written_segment` of each of its segments."""
    segments = [written_segment(segment) for segment in transcription.segments]
    return replace(
        Transcription.from_segments(segments, transcription.duration, transcription.account),
        language=transcription.language,
    )


def written_segment(segment: Segment) -> Segment:
    """The segment with its text in written form; what was heard stays in `spoken`.

    A written word covers the time of the spoken words that it stands for, and is as sure as the
    least sure of them. Characters and alignment stay those of the spoken text.
    """
    return replace(
        segment,
        text=_written(segment.text),
        spoken=segment.text,
        words=_written_words(segment),
        alternatives=[replace(one, text=_written(one.text)) for one in segment.alternatives],
    )


def _written(text: str) -> str:
    from sorigeul.text.written_form import written  # a third of a second goes into its patterns

    return written(text)


def written_event(event: LiveEvent) -> LiveEvent:
    """What happens in a running stream, with its text in written form."""
    match event:
        case FinalSegment(segment):
            return replace(event, segment=written_segment(segment))
        case ProvisionalText(text):
            return ProvisionalText(_written(text))
    return event


def _written_words(segment: Segment) -> list[Word]:
    from sorigeul.text.written_form import written_words

    spoken = segment.words
    if [word.word for word in spoken] != segment.text.split():
        return []  # their times are not known
    return [
        Word(
            word,
            spoken[first].start,
            spoken[last].end,
            min(one.confidence for one in spoken[first : last + 1]),
        )
        for word, first, last in written_words(segment.text)
    ]
