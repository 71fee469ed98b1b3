"""Joining of segments that overlap because there was no pause to cut at.

Both segments contain the text of the overlap. It is taken from the first up to a place where both
read the same, and from the second after it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from sorigeul.recognition.transcription import Segment
from sorigeul.sound.segments import OVERLAP
from sorigeul.text.vocabulary import Vocabulary

_SAME_TIME = 0.6  # seconds between the two times of one character; mostly less than 0.2


@dataclass(frozen=True)
class RecognizedSegment:
    """A segment with what joining it to its neighbours needs."""

    segment: Segment
    tokens: list[int]
    """character ids (U)"""
    times: list[float]
    """when each character is spoken, in seconds of the recording (U); empty without an overlap"""
    overlaps_next: bool

    def between(self, first: int, last: int | None, vocabulary: Vocabulary) -> "RecognizedSegment":
        """The part of the text from character `first` to before `last`."""
        kept = slice(first, last)
        segment = replace(
            self.segment,
            text=vocabulary.decode(self.tokens[kept]).strip(),
            characters=self.segment.characters[kept],
            alignment=self.segment.alignment[kept],
        )
        return replace(self, segment=segment, tokens=self.tokens[kept], times=self.times[kept])


class OverlapJoiner:
    """Takes the segments of one recording, in order, and leaves out what two have in common."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.held: RecognizedSegment | None = None
        """the last segment, if it overlaps with the next one"""

    def feed(self, current: RecognizedSegment) -> Iterator[Segment]:
        """The next segment -> the segments that are complete."""
        if self.held is not None:
            end, start = _seam(self.held, current, self.vocabulary)
            yield self.held.between(0, end, self.vocabulary).segment
            current = current.between(start, None, self.vocabulary)
            self.held = None
        if current.overlaps_next:
            self.held = current
        else:
            yield current.segment

    def finish(self) -> Iterator[Segment]:
        """The segment that waits for another which does not come."""
        if self.held is not None:
            yield self.held.segment
        self.held = None


def join_overlaps(
    recognized: Iterable[RecognizedSegment], vocabulary: Vocabulary
) -> Iterator[Segment]:
    """All segments of one recording, in order, without the text that two of them share."""
    joiner = OverlapJoiner(vocabulary)
    for segment in recognized:
        yield from joiner.feed(segment)
    yield from joiner.finish()


def _seam(
    left: RecognizedSegment, right: RecognizedSegment, vocabulary: Vocabulary
) -> tuple[int, int]:
    """How many characters of `left` to keep, and from which one on those of `right`."""
    if not left.tokens or not right.tokens:  # one of them heard nothing: the other keeps it all
        return len(left.tokens), 0
    cut = left.segment.end
    left_first = _count_before(left.times, cut - OVERLAP)
    right_last = _count_before(right.times, cut + OVERLAP)
    matcher = SequenceMatcher(None, left.tokens[left_first:], right.tokens[:right_last], False)
    shared = [
        (left_first + block.a + offset, block.b + offset)
        for block in matcher.get_matching_blocks()
        for offset in range(block.size)
        if abs(left.times[left_first + block.a + offset] - right.times[block.b + offset])
        <= _SAME_TIME
    ]
    if not shared:
        return _count_before(left.times, cut), _count_before(right.times, cut)
    # A space is best: then no word is divided between the segments.
    spaces = [place for place in shared if vocabulary.units[left.tokens[place[0]]] == " "]
    end, start = min(spaces or shared, key=lambda place: abs(left.times[place[0]] - cut))
    return end, start


def _count_before(times: Sequence[float], limit: float) -> int:
    return sum(time < limit for time in times)
