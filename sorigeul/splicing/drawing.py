"""Draws new utterances: which pieces of which utterances of a speaker, in which order.

For each copy every utterance is cut in two at a boundary between words that is drawn, the pieces of
a speaker are shuffled, and two or three that follow each other become a new utterance. So all
speech is used about equally often, and each copy is cut anew. Does not know about sound.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from random import Random

_FEWEST, _MOST = 2, 3  # pieces of a new utterance
_LOOKED_AT = 100  # of the pieces that follow, to find one that fits


@dataclass(frozen=True, slots=True)
class Placed:
    """An utterance whose W words are known in time."""

    number: int
    """its place in the corpus"""
    words: Sequence[str]
    edges: Sequence[float]
    """where to cut, in seconds: its start, a place between each two words, its end (W + 1)"""
    is_sure: Sequence[bool]
    """whether each word was heard where it is said to be (W)"""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an utterance."""

    number: int
    """the place of the utterance in the corpus"""
    start: float
    """in seconds of the utterance"""
    end: float
    text: str

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Splice:
    """A new utterance."""

    speaker: str
    pieces: Sequence[Piece]

    @property
    def text(self) -> str:
        return " ".join(piece.text for piece in self.pieces)


def draw_splices(
    speakers: Mapping[str, Sequence[Placed]], copies: float, longest: float, seed: int
) -> Iterator[Splice]:
    """New utterances of the speakers, by their names, each of at most `longest` seconds.

    All speech is used `copies` times, but for words that are not sure, or that such words part from
    the rest of their piece, and for pieces that find no other to be joined with. Each splice has
    pieces of different utterances. The first copies are the same however many there are.
    """
    for number in range(math.ceil(copies)):
        splices = []
        for speaker, utterances in speakers.items():
            random = Random(f"{seed}/{number}/{speaker}")
            pieces = [piece for one in utterances for piece in _cut(one, random)]
            random.shuffle(pieces)
            splices += [Splice(speaker, group) for group in _join(pieces, longest, random)]
        share = min(copies - number, 1.0)
        if splices and share < 1:
            count = max(round(share * len(splices)), 1)
            chosen = sorted(Random(f"{seed}/{number}").sample(range(len(splices)), count))
            splices = [splices[place] for place in chosen]
        yield from splices


def _cut(utterance: Placed, random: Random) -> Iterator[Piece]:
    """An utterance in two, between words, or whole if it has one; of each part what is sure."""
    count = len(utterance.words)
    middle = random.randint(1, count - 1) if count > 1 else count
    for part in (range(middle), range(middle, count)):
        first, end = _longest_sure(utterance.is_sure, part)
        if end > first:
            text = " ".join(utterance.words[first:end])
            yield Piece(utterance.number, utterance.edges[first], utterance.edges[end], text)


def _longest_sure(is_sure: Sequence[bool], part: range) -> tuple[int, int]:
    """The longest stretch of a part's words that are all sure; empty if none is."""
    stretches = [(0, 0)]
    for sure, group in groupby(part, lambda number: is_sure[number]):
        numbers = list(group)
        if sure:
            stretches.append((numbers[0], numbers[-1] + 1))
    return max(stretches, key=lambda stretch: stretch[1] - stretch[0])


def _join(pieces: Sequence[Piece], longest: float, random: Random) -> list[list[Piece]]:
    """Groups of two or three pieces of different utterances, about in this order.

    A piece that does not fit into a group waits for the next. One that none of those that follow
    fits to is in no group.
    """
    groups: list[list[Piece]] = []
    waiting = deque(pieces)
    while waiting:
        group, size = [waiting.popleft()], random.randint(_FEWEST, _MOST)
        while len(group) < size and (place := _first_fitting(waiting, group, longest)) is not None:
            group.append(waiting[place])
            del waiting[place]
        if len(group) >= _FEWEST:
            groups.append(group)
    return groups


def _first_fitting(waiting: Iterable[Piece], group: Sequence[Piece], longest: float) -> int | None:
    """The place of the first of the next pieces that fits to those of a group."""
    seconds = sum(one.seconds for one in group)
    numbers = {one.number for one in group}
    for place, piece in enumerate(islice(waiting, _LOOKED_AT)):
        if seconds + piece.seconds <= longest and piece.number not in numbers:
            return place
    return None
