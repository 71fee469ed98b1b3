"""The spacing of a text that makes it most like a reference, for error rates that forgive spacing.

Korean leaves spacing largely to taste. The best spacing, rather than one moved along one of several
equally good alignments, makes the result independent of which alignment was picked.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.int32]

_MOST_ENTRIES = 2**25  # of a table; larger ones are computed in halves


def respaced_errors(words: Sequence[str], characters: str) -> int:
    """Lowest word edit distance from `words` to any division of `characters` into words."""
    return int(_last(_rows(words, characters))[-1])


def respace(words: Sequence[str], characters: str) -> list[str]:
    """The division of `characters` into words whose word edit distance from `words` is lowest."""
    if len(words) > 1 and (len(words) + 1) * (len(characters) + 1) > _MOST_ENTRIES:
        # Hirschberg (1975): the best place to divide both is found without keeping the table.
        half = len(words) // 2
        before = _last(_rows(words[:half], characters))
        backwards = [word[::-1] for word in reversed(words[half:])]
        after = _last(_rows(backwards, characters[::-1]))
        place = int(np.argmin(before + after[::-1]))
        first, second = characters[:place], characters[place:]
        return respace(words[:half], first) + respace(words[half:], second)
    fewest = np.stack(list(_rows(words, characters)))
    spaced: list[str] = []
    row, end = len(words), len(characters)
    while row or end:
        here = fewest[row, end]
        word = words[row - 1] if row else ""
        start = end - len(word)
        if word and characters.endswith(word, 0, end) and fewest[row - 1, start] == here:
            spaced.append(word)
            row, end = row - 1, start
        elif row and fewest[row - 1, end] + 1 == here:  # a deleted word
            row -= 1
        else:
            # A substituted word, or an inserted one; as short as possible, in any way at all.
            above = fewest[row - 1, :end] + 1 == here if row else np.zeros(end, np.bool_)
            inserted = fewest[row, :end] + 1 == here
            start = int(np.flatnonzero(above | inserted)[-1])
            row -= bool(above[start])
            spaced.append(characters[start:end])
            end = start
    return spaced[::-1]


def _last(rows: Iterable[Row]) -> Row:
    return deque(rows, maxlen=1)[0]


def _rows(words: Sequence[str], characters: str) -> Iterator[Row]:
    """Row w has at n the lowest distance between the first w words and the first n characters.

    A deleted, inserted or substituted word costs one, whatever its length; a word that is found
    unchanged costs nothing. O(words x characters).
    """
    before = np.ones(len(characters) + 1, np.int32)
    before[0] = 0
    yield before
    for word in words:
        # Deleted (n stays), or substituted by the characters from some earlier position up to n.
        distances = np.minimum.accumulate(before) + 1
        start = characters.find(word)
        while start >= 0:
            end = start + len(word)
            distances[end] = min(distances[end], before[start])
            start = characters.find(word, start + 1)
        after = np.empty_like(before)
        after[0] = distances[0]
        # One more word may be inserted after it.
        after[1:] = np.minimum(distances[1:], np.minimum.accumulate(distances)[:-1] + 1)
        yield after
        before = after
