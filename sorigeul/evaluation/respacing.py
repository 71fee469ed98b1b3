"""The spacing of a text that makes it most like a reference, for error rates that forgive spacing.

Korean leaves spacing largely to taste. The best spacing, rather than one moved along one of several
equally good alignments, makes the result independent of which alignment was picked.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def respaced_errors(words: Sequence[str], characters: str) -> int:
    """Lowest word edit distance from `words` to any division of `characters` into words."""
    return int(_fewest_errors(words, characters)[-1, -1])


def respace(words: Sequence[str], characters: str) -> list[str]:
    """The division of `characters` into words whose word edit distance from `words` is lowest."""
    fewest = _fewest_errors(words, characters)
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


def _fewest_errors(words: Sequence[str], characters: str) -> npt.NDArray[np.int32]:
    """Entry (w, n): lowest distance between the first w words and the first n characters.

    A deleted, inserted or substituted word costs one, whatever its length; a word that is found
    unchanged costs nothing. O(words x characters).
    """
    fewest = np.ones((len(words) + 1, len(characters) + 1), np.int32)
    fewest[0, 0] = 0
    for row, word in enumerate(words):
        before, after = fewest[row], fewest[row + 1]
        # Deleted (n stays), or substituted by the characters from some earlier position up to n.
        distances = np.minimum.accumulate(before) + 1
        start = characters.find(word)
        while start >= 0:
            end = start + len(word)
            distances[end] = min(distances[end], before[start])
            start = characters.find(word, start + 1)
        after[0] = distances[0]
        # One more word may be inserted after it.
        after[1:] = np.minimum(distances[1:], np.minimum.accumulate(distances)[:-1] + 1)
    return fewest
