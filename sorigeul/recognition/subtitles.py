"""Subtitles that can be read: the words of a recording in cues, broken where a reader would.

The rules are those of Netflix's Timed Text Style Guides (general, timing, Korean), with a line of
20 characters instead of 16 unless told otherwise, and a second for five sixths of one:

- A cue has at most two lines, and one if its text fits. No word (어절) is divided.
- It begins with its first word, and ends with or after its last one.
- It lasts from one to seven seconds, and long enough to be read, where the words after it leave the
  time. It never overlaps with the next.
- A gap to the next cue of less than half a second is closed. (Netflix leaves two frames of it. In
  fluent speech there is none: a word begins where the one before it ends.)

Every character counts, spaces too, which is stricter than the guide: there they count half. Where
a cue ends follows from the cost of all breaks together, as lines of a paragraph are broken (Knuth
and Plass 1981).
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sorigeul.base.ranges import SUBTITLE_LINE, check_number
from sorigeul.recognition.phrase_breaks import break_after
from sorigeul.recognition.transcription import Segment, Transcription

LINE = 20
"""most characters of a line"""
_MIN_SECONDS, _MAX_SECONDS = 1.0, 7.0
_READING_SPEED = 12.0  # characters a second
_MIN_GAP = 0.5  # seconds
_END_OF_BLOCK = 1.0  # seconds of a pause that no cue contains
_ROUNDING = 1e-6  # seconds
_LOOKAHEAD = 20.0  # seconds of words that decide where a cue ends: about three cues more

# What a plan of cues costs, in units of `Break`.
_CUE = 3.0  # each cue: few are better
_PAUSE = 10.0  # a second of pause (half of one at most) is so good a place to break
_LINE_BREAK = 0.5  # share of the cost of a break, if it is within a cue
_IMBALANCE = 3.0  # if one line is longer than the other by a whole line
_TOO_SHORT = 100.0  # a cue that cannot last `_MIN_SECONDS`
_TOO_FAST = 10.0  # a second that a cue lacks to be read


@dataclass(frozen=True)
class CueWord:
    """A word of a cue."""

    text: str
    start: float
    """seconds from the beginning of the recording, to the millisecond"""
    end: float
    doubtful: bool
    """whether its segment is doubtful"""


Lines = tuple[tuple[CueWord, ...], ...]
"""the words of one line or two"""


@dataclass(frozen=True)
class Cue:
    """A subtitle: what is shown together."""

    start: float
    """seconds from the beginning of the recording, to the millisecond"""
    end: float
    lines: Lines
    channel: str = ""
    """as of a segment"""

    @property
    def words(self) -> list[CueWord]:
        """The words of all its lines."""
        return [word for line in self.lines for word in line]

    @property
    def text(self) -> str:
        """Its words, with a line break between the lines."""
        return "\n".join(" ".join(word.text for word in line) for line in self.lines)


class Subtitles:
    """Makes cues of the segments of one recording, each as soon as it cannot change any more.

    The cues depend on the words and their times only, not on how these are divided into segments.
    Channels have cues of their own, in the order of time: people who speak at once have theirs at
    once, so that each begins with its words. Keeps what was said in about the last 20 seconds.
    """

    def __init__(self, line: int = LINE) -> None:
        """`line`: most characters of a line. Raises UserError if it is too short to read."""
        check_number("subtitle_line", line, SUBTITLE_LINE)
        self._line = line
        self._channels: dict[str, _Channel] = {}
        self._waiting: list[tuple[float, str, int, Cue]] = []
        self._count = 0

    def feed(self, segment: Segment) -> Iterator[Cue]:
        """The next segment, in the order of time -> the cues that are ready."""
        if segment.channel not in self._channels:
            self._channels[segment.channel] = _Channel(self._line, segment.channel)
        for channel in self._channels.values():
            self._collect(channel.advance(segment.start))
        for word in cue_words(segment):
            self._collect(self._channels[segment.channel].feed(word))
        settled = min(channel.settled for channel in self._channels.values())
        if segment.channel:  # another one may begin where this segment does
            settled = min(settled, segment.start)
        while self._waiting and self._waiting[0][0] < settled:
            yield heapq.heappop(self._waiting)[-1]

    def finish(self, duration: float) -> Iterator[Cue]:
        """The last cues of a recording that is `duration` seconds long."""
        for channel in self._channels.values():
            self._collect(channel.finish(duration))
        while self._waiting:
            yield heapq.heappop(self._waiting)[-1]

    def _collect(self, cues: Iterator[Cue]) -> None:
        for cue in cues:
            heapq.heappush(self._waiting, (cue.start, cue.channel, self._count, cue))
            self._count += 1


def subtitles(transcription: Transcription, line: int = LINE) -> list[Cue]:
    """The cues of a whole recording."""
    made = Subtitles(line)
    cues = [cue for segment in transcription.segments for cue in made.feed(segment)]
    return cues + list(made.finish(transcription.duration))


def cue_words(segment: Segment) -> list[CueWord]:
    """The words of a segment; if it has none, as if all characters of its text took equally long.

    Times are rounded to milliseconds here, as subtitles have them, so that what follows is exact.
    """
    if segment.words:
        times = [(word.word, word.start, word.end) for word in segment.words]
    else:
        times = _proportional(segment)
    return [
        CueWord(text, _rounded(start), _rounded(end), segment.doubtful)
        for text, start, end in times
    ]


def _proportional(segment: Segment) -> list[tuple[str, float, float]]:
    words = segment.text.split()
    characters = sum(map(len, words))
    seconds = (segment.end - segment.start) / max(characters, 1)
    times, before = [], 0
    for word in words:
        start = segment.start + before * seconds
        before += len(word)
        times.append((word, start, segment.start + before * seconds))
    return times


@dataclass
class _Plan:
    """The best cues of the words up to a place."""

    cost: float
    ends: tuple[int, ...] = ()
    """of each cue: the place after its last word, counted from the first word that waits"""


@dataclass
class _Channel:
    """The words of one channel that are not in a cue yet, and the best plans for them."""

    line: int
    name: str
    words: list[CueWord] = field(default_factory=list)
    plans: list[_Plan] = field(default_factory=lambda: [_Plan(0.0)])
    """`plans[n]` is for the first n words; the last word has none before the next one is known"""

    @property
    def settled(self) -> float:
        """Seconds before which no further cue begins."""
        return self.words[0].start if self.words else math.inf

    def feed(self, word: CueWord) -> Iterator[Cue]:
        """The next word -> the cues that are ready."""
        if self.words:
            self._plan_until(word.start, _break_cost(self.words[-1], word))
            if word.start - self.words[-1].end >= _END_OF_BLOCK:
                yield from self._take(len(self.plans[-1].ends), word.start)
            elif word.start - self.words[0].start > _LOOKAHEAD:
                yield from self._take(1, word.start)
        self.words.append(word)

    def advance(self, seconds: float) -> Iterator[Cue]:
        """No further word begins before `seconds` -> the cues that are ready."""
        if self.words and seconds - self.words[-1].end >= _MAX_SECONDS + _MIN_GAP:
            yield from self.finish(math.inf)

    def finish(self, duration: float) -> Iterator[Cue]:
        """There are no more words -> all cues.

        The last one ends with the recording, unless its words or the shortest time do not allow it.
        """
        if self.words:
            self._plan_until(math.inf, 0.0)
            *cues, last = self._take(len(self.plans[-1].ends), math.inf)
            yield from cues
            latest = max(_rounded(duration), last.words[-1].end, last.start + _MIN_SECONDS)
            yield replace(last, end=min(last.end, latest))

    def _plan_until(self, following: float, break_cost: float) -> None:
        """Find the best plan for all words, if the next one begins at `following` seconds.

        `break_cost` is that of the break before the next one.
        """
        end = len(self.words)
        best = _Plan(math.inf)
        for first in range(end - 1, -1, -1):
            cue_cost = _cue_cost(self.words[first:end], following, self.line)
            if cue_cost == math.inf:  # with more words it is too long, too
                break
            cost = self.plans[first].cost + cue_cost + break_cost
            if cost < best.cost:
                best = _Plan(cost, (*self.plans[first].ends, end))
        self.plans.append(best)

    def _take(self, count: int, following: float) -> Iterator[Cue]:
        """Give out the first cues of the best plan; the next word begins at `following` seconds."""
        ends = self.plans[-1].ends
        first = 0
        for end in ends[:count]:
            words = self.words[first:end]
            next_start = self.words[end].start if end < len(self.words) else following
            yield _cue(words, next_start, self.line, self.name)
            first = end
        self._drop(first)

    def _drop(self, first: int) -> None:
        """Forget the words before place `first`, and all plans in which no cue ends there."""
        spent = self.plans[first].cost
        self.words = self.words[first:]
        self.plans = [
            _Plan(plan.cost - spent, tuple(end - first for end in plan.ends if end > first))
            if first in plan.ends or place == first
            else _Plan(math.inf)
            for place, plan in enumerate(self.plans[first:], first)
        ]
        self.plans[0] = _Plan(0.0)


def _cue_cost(words: list[CueWord], following: float, line: int) -> float:
    """What a cue of these words costs: infinity if it is too long. A single word never is."""
    is_gap = following - words[-1].end >= _MIN_GAP - _ROUNDING
    end = words[-1].end if is_gap else following
    if len(words) > 1 and end - words[0].start > _MAX_SECONDS + _ROUNDING:
        return math.inf
    seconds = min(following - words[0].start, _MAX_SECONDS)
    too_short = _TOO_SHORT if seconds < _MIN_SECONDS - _ROUNDING else 0.0
    too_fast = _TOO_FAST * max(0.0, _width(words) / _READING_SPEED - seconds)
    return _CUE + _layout(words, line)[1] + too_short + too_fast


def _cue(words: list[CueWord], following: float, line: int, channel: str) -> Cue:
    """The cue of some words; the next word begins at `following` seconds."""
    start = words[0].start
    end = max(words[-1].end, start + _MIN_SECONDS, start + _width(words) / _READING_SPEED)
    if following - end < _MIN_GAP - _ROUNDING:
        end = following
    end = _rounded(min(end, start + _MAX_SECONDS))
    return Cue(start, end, _layout(words, line)[0], channel)


def _layout(words: list[CueWord], line: int) -> tuple[Lines, float]:
    """Words in one line or two, and what that costs: infinity if they do not fit."""
    if len(words) == 1 or _width(words) <= line:
        return (tuple(words),), 0.0
    best: tuple[Lines, float] = (tuple(words),), math.inf
    for place in range(1, len(words)):
        upper, lower = words[:place], words[place:]
        if all(len(part) == 1 or _width(part) <= line for part in (upper, lower)):
            imbalance = abs(_width(upper) - _width(lower)) / line
            cost = _LINE_BREAK * _break_cost(upper[-1], lower[0]) + _IMBALANCE * imbalance
            if cost < best[1]:
                best = (tuple(upper), tuple(lower)), cost
    return best


def _break_cost(word: CueWord, following: CueWord) -> float:
    """What it costs to separate two words; less than nothing at a pause."""
    pause = min(max(following.start - word.end, 0.0), 0.5)
    return break_after(word.text, following.text) - _PAUSE * pause


def _width(words: list[CueWord]) -> int:
    """Characters of the words and the spaces between them."""
    return sum(len(word.text) for word in words) + len(words) - 1


def _rounded(seconds: float) -> float:
    return round(1000 * seconds) / 1000 if math.isfinite(seconds) else seconds
