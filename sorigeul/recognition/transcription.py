"""`Transcription`: the text of a recording, its segments, times and confidence."""

import math
from dataclasses import dataclass, field

from sorigeul.search.hypothesis import Alignment

MIN_CONFIDENCE = 0.3
"""a segment with less confidence is doubtful: on dev of Pansori more than half of its characters
are wrong (docs/lab.md)"""
MIN_CALIBRATED_CONFIDENCE = 0.5
"""the same for a calibrated confidence: half of the characters are expected to be wrong"""
MIN_CTC_AGREEMENT = 0.6
"""a segment is doubtful if less of its text than this is what the CTC head reads on its own; two
thirds of its characters are wrong"""
_LEAST_PROBABILITY = 1e-9  # so that its logarithm is finite


@dataclass(frozen=True)
class Word:
    """A word of a segment: what lies between two spaces of its text."""

    word: str
    start: float
    """seconds from the beginning of the recording"""
    end: float
    """seconds from the beginning of the recording"""
    confidence: float
    """probability that it is correct, 0 to 1, if the recogniser has a calibration; otherwise the
    geometric mean of its characters' probabilities, as of `confidence.raw_confidence`"""


@dataclass(frozen=True)
class Alternative:
    """One of the most probable texts of a segment."""

    text: str
    score: float
    """what the search ranks by: a weighted sum of log-probabilities and bonuses"""


@dataclass(frozen=True)
class Segment:
    """A stretch of speech and its text of U characters."""

    start: float
    """seconds from the beginning of the recording"""
    end: float
    """seconds from the beginning of the recording"""
    text: str
    confidence: float
    """the share of its characters that is expected to be correct, 0 to 1, if the recogniser has a
    calibration; otherwise the geometric mean of the speller's probabilities of the characters"""
    finished: bool
    """whether the model reached the end of the sentence; otherwise the text is not reliable"""
    characters: list[str]
    """the characters of the text, which are jamo if the model writes jamo (U)"""
    alignment: Alignment
    """attention of each character over the listener frames, in the order of time (U, S)"""
    ctc_text: str | None = None
    """what the CTC head alone reads, if there is one"""
    ctc_agreement: float = 1.0
    """share of `text` that is also in `ctc_text`, 0 to 1; 1 without a CTC head"""
    channel: str = ""
    """the channel it was spoken in, if channels were transcribed one by one"""
    words: list[Word] = field(default_factory=list)
    """the words of the text, in the order of time and within the segment"""
    raw_confidence: float = 0.0
    """what a calibration starts from, as of `confidence.raw_confidence`"""
    calibrated: bool = False
    """whether `confidence` is calibrated"""
    repetitive: bool = False
    """whether the text repeated itself so often that the search stopped it"""
    alternatives: list[Alternative] = field(default_factory=list)
    """the n-best texts, the best first, if more than one was asked for; of a segment that overlaps
    with its neighbours they include what the text leaves to these"""
    spoken: str | None = None
    """what was heard, if `text` is its written form (70% for 칠십 퍼센트)"""

    @property
    def doubtful(self) -> bool:
        """Whether the text may well be wrong: see `MIN_CONFIDENCE` and `MIN_CTC_AGREEMENT`."""
        return (
            not self.finished
            or self.repetitive
            or self.confidence < (MIN_CALIBRATED_CONFIDENCE if self.calibrated else MIN_CONFIDENCE)
            or self.ctc_agreement < MIN_CTC_AGREEMENT
        )


@dataclass(frozen=True)
class Transcription:
    """The text of a recording."""

    text: str
    segments: list[Segment]
    duration: float
    """seconds"""
    account: tuple[str, ...]
    """the steps that turned the recording into 16 kHz mono, and what was taken for silence"""
    language: str = "ko"

    @classmethod
    def from_segments(
        cls, segments: list[Segment], duration: float, account: tuple[str, ...]
    ) -> "Transcription":
        """The transcription of a recording that has these segments."""
        text = " ".join(segment.text for segment in segments if segment.text)
        return cls(text, segments, duration, account)

    @property
    def spoken(self) -> str | None:
        """What was heard, if `text` is its written form."""
        texts = [segment.spoken for segment in self.segments if segment.spoken is not None]
        return " ".join(filter(None, texts)) if texts else None

    @property
    def confidence(self) -> float:
        """The confidence of all characters, 0 without characters.

        The mean of what the segments expect to be correct, if they are calibrated; otherwise the
        geometric mean of the speller's probabilities.
        """
        counts = [len(segment.characters) for segment in self.segments]
        if any(segment.calibrated for segment in self.segments):
            pairs = zip(counts, self.segments, strict=True)
            return sum(count * segment.confidence for count, segment in pairs) / max(sum(counts), 1)
        logs = [math.log(max(segment.confidence, _LEAST_PROBABILITY)) for segment in self.segments]
        total = sum(count * log for count, log in zip(counts, logs, strict=True))
        return math.exp(total / sum(counts)) if sum(counts) else 0.0

    @property
    def finished(self) -> bool:
        """Whether the model reached the end of the sentence in every segment."""
        return all(segment.finished for segment in self.segments)

    @property
    def doubtful_segments(self) -> int:
        """How many segments may well be wrong."""
        return sum(segment.doubtful for segment in self.segments)
