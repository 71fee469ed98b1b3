"""Byte-pair encoding: learns units of several characters from words, and writes words in them.

Sennrich et al. 2016, "Neural machine translation of rare words with subword units", over
characters. A space belongs to the word after it, as in SentencePiece (Kudo and Richardson 2018), so
a unit may begin with a space but never spans two words.
"""

import heapq
import re
from collections import Counter
from collections.abc import Collection, Mapping
from itertools import groupby, pairwise

_WORD = re.compile(r"\s?\S+|\s")


def split_words(text: str) -> list[str]:
    """The words of a text, each with the space before it.

    The first word is given a space as well, so that a word is written in the same units wherever it
    stands. Together they are the text after a space; none for an empty text.
    """
    return _WORD.findall(f" {text}") if text else []


def learn_units(
    words: Mapping[str, int], most: int, min_count: int, excluded: Collection[str] = ()
) -> list[str]:
    """Join the most frequent pair of neighbours everywhere, again and again; return what it made.

    Parameters
    ----------
    words : how often each word occurs
    most : joins, after which it ends
    min_count : pairs that occur fewer times are not joined
    excluded : what must not be made

    Of pairs that are equally frequent, the one first by code points is joined. A unit never comes
    twice, since what is in a word is joined in one order only.
    """
    characters: dict[str, str] = {}  # one object for each, however often it occurs
    spellings = [[characters.setdefault(one, one) for one in word] for word in words]
    weights = list(words.values())
    counts: Counter[str] = Counter()
    places: dict[str, list[int]] = {}  # words that have, or had, such a pair
    for number, (spelling, weight) in enumerate(zip(spellings, weights, strict=True)):
        for first, second in pairwise(spelling):
            pair = first + second
            counts[pair] += weight
            places.setdefault(pair, []).append(number)
    queue = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(queue)
    units: list[str] = []
    while queue and len(units) < most:
        negative, unit = heapq.heappop(queue)
        count = counts[unit]
        if count < min_count or unit in excluded:
            continue
        if count != -negative:  # it has become rarer since
            heapq.heappush(queue, (-count, unit))
            continue
        units.append(unit)
        changed: set[str] = set()
        for number in set(places.pop(unit)):
            before, weight = spellings[number], weights[number]
            after = _joined(before, unit)
            spellings[number] = after
            for first, second in pairwise(before):
                counts[first + second] -= weight
            old = {first + second for first, second in pairwise(before)}
            for first, second in pairwise(after):
                pair = first + second
                counts[pair] += weight
                if pair not in old:
                    places.setdefault(pair, []).append(number)
                    changed.add(pair)
        del counts[unit]
        for pair in changed:
            heapq.heappush(queue, (-counts[pair], pair))
    return units


def split_at(words: Mapping[str, int], known: Collection[str]) -> Counter[str]:
    """The parts of words that are made of `known` characters, and how often each occurs."""
    parts: Counter[str] = Counter()
    for word, count in words.items():
        for is_known, part in groupby(word, known.__contains__):
            if is_known:
                parts["".join(part)] += count
    return parts


def split_into_units(word: str, ranks: Mapping[str, int]) -> list[str]:
    """A word in units: neighbours are joined as long as a unit has what they spell.

    The unit with the lowest of `ranks` is joined first, wherever it occurs from left to right. With
    the units in the order in which they were learned, this repeats what learning did.
    """
    pieces = list(word)
    while len(pieces) > 1:
        joins = [pair for pair in map("".join, pairwise(pieces)) if pair in ranks]
        if not joins:
            break
        pieces = _joined(pieces, min(joins, key=ranks.__getitem__))
    return pieces


def _joined(pieces: list[str], unit: str) -> list[str]:
    """The pieces of a word with neighbours that spell a unit made one, from left to right."""
    joined: list[str] = []
    place, last = 0, len(pieces) - 1
    while place <= last:
        piece = pieces[place]
        if place < last and unit.startswith(piece) and piece + pieces[place + 1] == unit:
            joined.append(unit)
            place += 2
        else:
            joined.append(piece)
            place += 1
    return joined
