"""Joining of segments that overlap because there was no pause to cut at.

Both segments contain the text of the overlap. It is taken from the first up to a place where both
read the same, and from the second after it. There the first segment ends and the second begins, so
that every word lies within its segment.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from sorigeul.recognition.character_times import Spans
from sorigeul.recognition.transcription import Segment, Word
from sorigeul.recognition.word_times import word_ranges
from sorigeul.sound.segments import OVERLAP
from sorigeul.text.vocabulary import Vocabulary

_SAME_TIME = 0.6  # seconds between the two times of one character; mostly less than 0.2


@dataclass(frozen=True, eq=False)
class RecognizedSegment:
    """A segment with what joining it to its neighbours needs."""

    segment: Segment
    """without its words, which are complete only after joining"""
    tokens: list[int]
    """character ids (U)"""
    spans: Spans
    """start and end of each character in seconds of the recording (U, 2)"""
    word_confidences: list[float]
    """of each word"""
    overlaps_next: bool

    @property
    def times(self) -> list[float]:
        """When each character is spoken, in seconds of the recording (U)."""
        return [float(time) for time in self.spans.mean(1)]

    def between(self, first: int, last: int | None, vocabulary: Vocabulary) -> "RecognizedSegment":
        """The part of the text from character `first` to before `last`.

        Half a word keeps the confidence of the whole.
        """
        kept = slice(first, last)
        last = len(self.tokens) if last is None else last
        segment = replace(
            self.segment,
            text=vocabulary.decode(self.tokens[kept]).strip(),
            characters=self.segment.characters[kept],
            alignment=self.segment.alignment[kept],
        )
        ranges = word_ranges(self.segment.characters)
        confidences = [
            confidence
            for (start, end), confidence in zip(ranges, self.word_confidences, strict=True)
            if start < last and end > first
        ]
        return replace(
            self,
            segment=segment,
            tokens=self.tokens[kept],
            spans=self.spans[kept],
            word_confidences=confidences,
        )

    def complete(self, vocabulary: Vocabulary) -> Segment:
        """The segment with its words."""
        ranges = word_ranges(self.segment.characters)
        words = [
            Word(
                vocabulary.decode(self.tokens[start:end]),
                float(self.spans[start, 0]),
                float(self.spans[end - 1, 1]),
                confidence,
            )
            for (start, end), confidence in zip(ranges, self.word_confidences, strict=True)
        ]
        return replace(
            self.segment, words=_words_within(words, self.segment.start, self.segment.end)
        )


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
            left = self.held.between(0, end, self.vocabulary)
            right = current.between(start, None, self.vocabulary)
            seconds = _seam_time(left, right)
            left = replace(left, segment=replace(left.segment, end=seconds))
            yield left.complete(self.vocabulary)
            current = replace(right, segment=replace(right.segment, start=seconds))
            self.held = None
        if current.overlaps_next:
            self.held = current
        else:
            yield current.complete(self.vocabulary)

    def finish(self) -> Iterator[Segment]:
        """The segment that waits for another which does not come."""
        if self.held is not None:
            yield self.held.complete(self.vocabulary)
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


def _seam_time(left: RecognizedSegment, right: RecognizedSegment) -> float:
    """Where the left part ends and the right one begins, in seconds of the recording.

    Where the recording was cut, if all words of the left part end before and all of the right one
    begin after it; otherwise as near to it as their words allow.
    """
    cut = left.segment.end
    left_words, right_words = (word_ranges(side.segment.characters) for side in (left, right))
    before = left.spans[left_words[-1][1] - 1, 1] if left_words else left.segment.start
    after = right.spans[right_words[0][0], 0] if right_words else right.segment.end
    seconds = min(max(cut, before), after) if before <= after else (before + after) / 2
    # Each side keeps half of its own time at least, whatever its characters say.
    earliest, latest = (left.segment.start + cut) / 2, (cut + right.segment.end) / 2
    return float(min(max(seconds, earliest), latest))


def _words_within(words: list[Word], start: float, end: float) -> list[Word]:
    """The words, in time from `start` to `end`.

    What stands out is cut off. If a word would vanish, the times of all are scaled instead; if they
    take no time at all, they are spread evenly.
    """
    clipped = [
        replace(word, start=min(max(word.start, start), end), end=max(min(word.end, end), start))
        for word in words
    ]
    if all(word.start < word.end for word in clipped):
        return clipped
    if words[0].start == words[-1].end:
        words = [replace(word, start=place, end=place + 1) for place, word in enumerate(words)]
    first, scale = words[0].start, (end - start) / (words[-1].end - words[0].start)
    return [
        replace(
            word,
            start=start + (word.start - first) * scale,
            end=min(start + (word.end - first) * scale, end),
        )
        for word in words
    ]


def _count_before(times: Sequence[float], limit: float) -> int:
    return sum(time < limit for time in times)
