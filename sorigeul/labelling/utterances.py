"""Utterances of a recording without a text, as a model heard them, and how far they are trusted."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rapidfuzz.distance import LCSseq

from sorigeul.base.memory import return_freed_memory
from sorigeul.corpora.cut_corpus import Piece
from sorigeul.labelling.options import LabelOptions
from sorigeul.recognition.batching import segments_in_batches
from sorigeul.recognition.recognizer import Recognizer
from sorigeul.recognition.transcription import Segment
from sorigeul.sound.audio import SAMPLE_RATE, Samples
from sorigeul.sound.segments import Segmenter, SpeechSegment


@dataclass(frozen=True)
class LabelledUtterance(Piece):
    """A stretch of speech, and what was heard in it."""

    confidence: float
    """share of the characters that the recogniser expects to be correct, 0 to 1"""
    agreement: float
    """share of the characters that are also in what the second judge heard, 0 to 1"""

    def is_good(self, options: LabelOptions) -> bool:
        """Whether it is trusted enough to learn from."""
        return self.confidence >= options.min_confidence and self.agreement >= options.min_agreement


@dataclass
class LabelledRecording:
    """What was heard in a recording."""

    utterances: list[LabelledUtterance]
    unusable: int = 0
    """stretches of speech whose text says nothing: empty, broken off, repeated, or cut in a word"""


def label_recording(
    recognizer: Recognizer, second: Recognizer | None, blocks: Iterable[Samples]
) -> Iterator[tuple[LabelledUtterance | None, Samples]]:
    """Blocks of samples (n,) at 16 kHz -> each stretch of speech, with its samples (N,).

    None where its text says nothing. The second judge is the `second` recogniser; without one, the
    CTC head of the first, which reads without knowing what words there are.
    """
    segments = _segments(recognizer, blocks)

    def hear(batch: list[SpeechSegment]) -> list[tuple[SpeechSegment, Segment, Segment | None]]:
        heard = [one.segment for one in recognizer.recognize(batch)]
        again = [one.segment for one in second.recognize(batch)] if second else [None] * len(heard)
        return list(zip(batch, heard, again, strict=True))

    batches = segments_in_batches(segments, recognizer.batch_seconds)
    with recognizer.threads() as threads:
        for heard in threads.map(hear, batches):
            for speech, segment, other in heard:
                yield _labelled(speech, segment, other), speech.samples
            return_freed_memory()  # batches of ever other sizes leave holes


def _labelled(
    speech: SpeechSegment, segment: Segment, other: Segment | None
) -> LabelledUtterance | None:
    cut_in_a_word = speech.overlaps
    if cut_in_a_word or not segment.text or not segment.finished or segment.repetitive:
        return None
    agreement = segment.ctc_agreement
    if other is not None:
        agreement = LCSseq.normalized_similarity(_letters(segment.text), _letters(other.text))
    return LabelledUtterance(
        speech.start / SAMPLE_RATE,
        speech.end / SAMPLE_RATE,
        segment.text,
        segment.confidence,
        agreement,
    )


def _letters(text: str) -> str:
    return text.replace(" ", "")


def _segments(recognizer: Recognizer, blocks: Iterable[Samples]) -> Iterator[SpeechSegment]:
    segmenter = Segmenter(recognizer.limits)
    for block in blocks:
        yield from segmenter.feed(block)
    yield from segmenter.finish()
