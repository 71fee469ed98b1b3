"""Where to cut a recording whose words are known in time."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sorigeul.alignment.script import Script
from sorigeul.alignment.speech import HOP, HeardSpeech, Values
from sorigeul.alignment.word_alignment import SpokenWord
from sorigeul.corpora.cut_corpus import Piece
from sorigeul.sound.audio import SAMPLE_RATE

_HOPS_PER_SECOND = SAMPLE_RATE // HOP
_SMOOTHING = 5  # hops averaged to find the quietest place; the closure of a plosive is shorter
_REACH = 0.5  # seconds from a word within which an utterance ends or begins
_NEIGHBOURHOOD = 5.0  # seconds on either side whose loud parts a cut is compared with
_PAUSE_DEPTH = 20.0  # dB below them; a cut as quiet as this costs nothing
_LOUD_CUT_COST = 2.0  # of a cut that is as loud as the speech around it
_SENTENCE_COST = 0.5  # of a cut within a sentence
_USUAL_SECONDS, _LENGTH_COST = 6.0, 0.3  # of an utterance half or twice as long as usual
_FEWEST_CHARACTERS = 4  # of an utterance
_STRETCH, _UNSAID_SCORE = 9, -6.0  # characters in a row with a lower mean are not spoken
# So many characters are heard in so few gaps between those of the text, but are not in it: in 6,000
# gaps of true texts never, in 32 of 34 places where a sentence was taken out of the text.
_FOREIGN_CHARACTERS, _FOREIGN_GAPS = 4, 3


@dataclass(frozen=True)
class AlignedUtterance(Piece):
    """A piece of a recording and its text."""

    score: float
    """mean log-probability of its characters where they were placed"""
    too_long: bool = False
    """whether it is longer than allowed, and could not be cut: a line, or a word"""

    def is_good(self, min_score: float) -> bool:
        """Whether it belongs into the corpus."""
        return self.score >= min_score and not self.too_long


@dataclass(frozen=True)
class _Cut:
    """A place before a word: where what comes before ends, and where what follows begins."""

    end: float
    start: float
    cost: float


def choose_utterances(
    script: Script,
    heard: HeardSpeech,
    spoken: Sequence[SpokenWord | None],
    max_seconds: float,
    lines: bool,
) -> list[AlignedUtterance]:
    """Cut a recording into utterances of at most `max_seconds`, at pauses and ends of sentences.

    `spoken` are the words of the script in time (W). With `lines`, each line is an utterance,
    however it is spoken. What is longer and cannot be cut is among them, marked as too long. Words
    that were not placed are in no utterance.
    """
    found: list[AlignedUtterance] = []
    levels = np.convolve(heard.levels, np.ones(_SMOOTHING) / _SMOOTHING, "same")
    for first, words in _runs(heard, spoken):
        cuts = _cuts(script, levels, heard.seconds, words, first)
        for begin, end in (
            _whole_lines(script, first, len(words)) if lines else _best_cuts(cuts, max_seconds)
        ):
            scores = [score for word in words[begin:end] for score in word.scores]
            text = script.text(first + begin, first + end)
            if len(scores) < _FEWEST_CHARACTERS and not lines:
                continue  # so few may be placed anywhere
            score = float(np.mean(scores))
            # To the thousandth, as tables and names of files have it.
            start, stop = round(cuts[begin].start, 3), round(cuts[end].end, 3)
            too_long = cuts[end].end - cuts[begin].start > max_seconds
            found.append(AlignedUtterance(start, stop, text, score, too_long))
    return found


def _runs(
    heard: HeardSpeech, spoken: Sequence[SpokenWord | None]
) -> Iterator[tuple[int, list[SpokenWord]]]:
    """Stretches of words that follow each other: the first one's number, and its words.

    They are divided by words that are not spoken, and by speech that is not in the text.
    """
    foreign = _foreign_gaps(heard, spoken)
    run: list[SpokenWord] = []
    for number, (word, is_said) in enumerate(zip(spoken, _are_said(spoken), strict=True)):
        is_whole = is_said and (number, number) not in foreign
        if run and (not is_whole or (number - 1, number) in foreign):
            yield number - len(run), run
            run = []
        if word is not None and is_whole:
            run.append(word)
    if run:
        yield len(spoken) - len(run), run


def _foreign_gaps(heard: HeardSpeech, spoken: Sequence[SpokenWord | None]) -> set[tuple[int, int]]:
    """Between which words something is said that is not in the text; (5, 5): within the fifth."""
    _, frames = heard.reading
    placed = [
        (number, *places)
        for number, word in enumerate(spoken)
        if word is not None
        for places in word.frames
    ]
    gaps = list(pairwise(placed))
    if not gaps:
        return set()
    others = np.array(
        [bisect_left(frames, after[1]) - bisect_left(frames, before[2]) for before, after in gaps]
    )
    # A character of the text may be heard in the middle of other speech, so gaps are added up.
    sums = np.convolve(others, np.ones(_FOREIGN_GAPS))
    near = np.array([sums[i : i + _FOREIGN_GAPS].max() for i in range(len(gaps))])
    is_foreign = (near >= _FOREIGN_CHARACTERS) & (others > 0)
    return {
        (before[0], after[0])
        for (before, after), marked in zip(gaps, is_foreign, strict=True)
        if marked
    }


def _are_said(spoken: Sequence[SpokenWord | None]) -> list[bool]:
    """Whether each word is spoken at all (W): the text around it fits what was heard."""
    scores = np.array([score for word in spoken if word for score in word.scores])
    near = slice(_STRETCH // 2, _STRETCH // 2 + len(scores))
    sums, counts = (
        np.convolve(values, np.ones(_STRETCH))[near] if len(scores) else scores
        for values in (scores, np.ones(len(scores)))
    )
    means = sums / counts
    said: list[bool] = []
    first = 0
    for word in spoken:
        end = first + (len(word.scores) if word else 0)
        said.append(word is not None and bool(means[first:end].max() > _UNSAID_SCORE))
        first = end
    return said


def _cuts(
    script: Script, levels: Values, seconds: float, words: Sequence[SpokenWord], first: int
) -> list[_Cut]:
    """The places before each of these words, and the one after the last (W + 1).

    `levels` are those of the recording, of this length; the first word has this number.
    """
    last = len(words)
    cuts: list[_Cut] = []
    for number in range(last + 1):
        before = words[number - 1] if number else None
        after = words[number] if number < last else None
        earliest = before.last if before else max(words[0].start - _REACH, 0.0)
        latest = after.start if after else min(words[-1].end + _REACH, seconds)
        end, start = earliest, latest
        depth = _PAUSE_DEPTH
        if before:
            until = min(latest, before.end + _REACH)
            end, depth = _quietest(levels, earliest, until, last=False)
        if after:
            begin = max(earliest, after.start - _REACH)
            start, depth = _quietest(levels, begin, latest, last=True)
        end = min(end, start) if before and after else end
        cost = _LOUD_CUT_COST * (1 - min(depth, _PAUSE_DEPTH) / _PAUSE_DEPTH)
        ends_sentence = not before or _ends_sentence(script, first + number - 1)
        cuts.append(_Cut(end, start, cost + (0 if ends_sentence else _SENTENCE_COST)))
    return cuts


def _ends_sentence(script: Script, word: int) -> bool:
    return script.words[word].ends_line or script.words[word].ends_sentence


def _quietest(levels: Values, earliest: float, latest: float, last: bool) -> tuple[float, float]:
    """The quietest time from `earliest` to `latest`, and how much louder the speech around it is.

    `last`: of several times that are as quiet, the last one. The difference is in dB.
    """
    low, high = round(earliest * _HOPS_PER_SECOND), round(latest * _HOPS_PER_SECOND)
    low = max(min(low, len(levels) - 1), 0)
    high = max(min(high, len(levels) - 1), low)
    stretch = levels[low : high + 1]
    place = low + (
        len(stretch) - 1 - int(stretch[::-1].argmin()) if last else int(stretch.argmin())
    )
    reach = round(_NEIGHBOURHOOD * _HOPS_PER_SECOND)
    loud = np.percentile(levels[max(place - reach, 0) : place + reach], 90)
    return (place + 0.5) / _HOPS_PER_SECOND, float(loud - levels[place])


def _whole_lines(script: Script, first: int, count: int) -> list[tuple[int, int]]:
    """The lines among `count` words, of which `first` is the number of the first in the script."""
    return list(
        pairwise(
            place
            for place in range(count + 1)
            if first + place == 0 or script.words[first + place - 1].ends_line
        )
    )


def _best_cuts(cuts: Sequence[_Cut], max_seconds: float) -> list[tuple[int, int]]:
    """The cheapest division of words into utterances: the cuts before and after each of them.

    An utterance that is too long has a single word.
    """
    count = len(cuts) - 1
    best = np.full(count + 1, np.inf)
    best[0] = 0.0
    came_from = np.zeros(count + 1, dtype=np.int64)
    for end in range(1, count + 1):
        for begin in range(end - 1, -1, -1):
            seconds = cuts[end].end - cuts[begin].start
            if seconds > max_seconds and begin < end - 1:
                break
            doublings = np.log2(max(seconds, 0.1) / _USUAL_SECONDS)
            cost = best[begin] + cuts[end].cost + _LENGTH_COST * doublings**2
            if cost < best[end]:
                best[end], came_from[end] = cost, begin
    utterances: list[tuple[int, int]] = []
    end = count
    while end > 0:
        utterances.append((int(came_from[end]), end))
        end = int(came_from[end])
    return utterances[::-1]
