"""Counts of n-grams, and interpolated modified Kneser-Ney estimates from them.

Chen and Goodman 1998, "An empirical study of smoothing techniques for language modeling",
section 3. G distinct n-grams of one order, V vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sorigeul.lm.ngram_tables import Integers, NgramTable, Packing
from sorigeul.text.vocabulary import Vocabulary

_FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
"""KenLM's for texts too small to estimate them"""
_EXACT_COUNTS, _CODES = 64, 256


@dataclass(frozen=True)
class NgramCounts:
    """The distinct n-grams of one order in a text, and their Kneser-Ney counts."""

    keys: Integers
    """packed, sorted (G,)"""
    counts: Integers
    """the number of different tokens before each n-gram (G,); for the highest order, and for
    n-grams that begin with ``<s>``, which nothing precedes, how often it occurs"""


def count_ngrams(
    ids: NDArray[np.integer[Any]], order: int, vocabulary: Vocabulary
) -> Iterator[NgramCounts]:
    """Count the n-grams within the lines of a text: of `order` first, then of each lower order.

    `ids` has ``<s>`` before each line. Neither ``<s>`` nor ``_``, which stands for an unknown
    character, is the last token of an n-gram.
    """
    ngrams = _counted(_windows_within_lines(ids, order, vocabulary))
    yield ngrams
    for length in range(order - 1, 0, -1):
        # A shorter n-gram either follows a token, so it ends a longer one, or begins its line.
        suffixes = ngrams.keys & Packing(len(vocabulary)).mask(length)
        beginnings = _line_beginnings(ids, length, vocabulary)
        ngrams = _counted(np.concatenate((suffixes, beginnings)))
        yield ngrams


def unigram_probabilities(unigrams: NgramCounts, vocabulary: Vocabulary) -> NDArray[np.float32]:
    """Kneser-Ney unigrams interpolated with equal shares of all that can be predicted (V,).

    ``<s>`` and ``_`` have probability 0.
    """
    removed = _discounts(unigrams.counts)[np.minimum(unigrams.counts, 3)]
    probabilities = np.full(len(vocabulary), removed.sum() / (len(vocabulary) - 2))
    probabilities[unigrams.keys] += unigrams.counts - removed
    probabilities[[vocabulary.sos_id, vocabulary.pad_id]] = 0
    probabilities /= unigrams.counts.sum()
    return probabilities.astype(np.float32)


def ngram_table(ngrams: NgramCounts, vocabulary_size: int, threshold: int) -> NgramTable:
    """The stored form of one order, two or higher, of the n-grams with a count over `threshold`.

    What discounts and pruning take from a context goes to the next lower order. Counts are rounded
    to at most 256 values before the weights of the contexts are computed from them, so that
    probabilities sum to one in spite of it.
    """
    packing = Packing(vocabulary_size)
    discounts = _discounts(ngrams.counts)
    rounded = _rounded_counts(int(ngrams.counts.max(initial=1)))
    values = rounded - discounts[np.minimum(rounded, 3)]
    codes = _nearest(rounded, ngrams.counts)
    kept = (ngrams.counts > threshold) & (values[codes] > 0)  # a discount may take all of a count
    contexts = ngrams.keys >> packing.bits
    first = _first_of_each(contexts)
    removed = np.where(kept, discounts[np.minimum(ngrams.counts, 3)], ngrams.counts)
    backoffs = np.add.reduceat(removed, first)
    totals = backoffs + np.add.reduceat(np.where(kept, values[codes], 0), first)
    sizes = np.add.reduceat(kept, first, dtype=np.int64)
    useful = sizes > 0
    return NgramTable(
        contexts=contexts[first[useful]],
        starts=np.append(0, np.cumsum(sizes[useful])).astype(np.uint32),
        backoffs=(backoffs[useful] / totals[useful]).astype(np.float32),
        tokens=(ngrams.keys[kept] & packing.mask(1)).astype(np.min_scalar_type(vocabulary_size)),
        codes=codes[kept],
        values=values.astype(np.float32),
    )


def _counted(keys: Integers) -> NgramCounts:
    """How often each of `keys` occurs in them. Sorts them in place, since they may be many."""
    keys.sort()
    first = _first_of_each(keys)
    return NgramCounts(keys[first], np.diff(first, append=len(keys)))


def _windows_within_lines(
    ids: NDArray[np.integer[Any]], length: int, vocabulary: Vocabulary
) -> Integers:
    """All sequences of `length` tokens that may be counted, packed, in the order of the text."""
    line_start = ids == vocabulary.sos_id
    valid = ~line_start & (ids != vocabulary.pad_id)
    valid[: length - 1] = False
    for distance in range(1, length - 1):  # only the first token of a window may be <s>
        valid[distance:] &= ~line_start[:-distance]
    windows: Integers = Packing(len(vocabulary)).windows(ids, length)[valid]
    return windows


def _line_beginnings(
    ids: NDArray[np.integer[Any]], length: int, vocabulary: Vocabulary
) -> Integers:
    """The first `length` tokens of each line, ``<s>`` among them, packed; none for length 1."""
    starts = np.flatnonzero(ids == vocabulary.sos_id)
    lengths = np.diff(starts, append=len(ids))
    starts = starts[(lengths >= length) & (length > 1)]
    starts = starts[ids[starts + length - 1] != vocabulary.pad_id]
    packed = np.zeros(len(starts), np.int64)
    for offset in range(length):
        packed = packed << Packing(len(vocabulary)).bits | ids[starts + offset]
    return packed


def _discounts(counts: Integers) -> NDArray[np.float64]:
    """What is taken from a count of 0, 1, 2, and 3 or more (Chen and Goodman, equation 26).

    Small texts may have no n-gram of some count, or give a discount that is no part of its count.
    Their discounts are 0.5, 1 and 1.5.
    """
    n1, n2, n3, n4 = (int((counts == count).sum()) for count in (1, 2, 3, 4))
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(0 < discount <= count for count, discount in enumerate(found, 1)):
            return np.array((0.0, *found))
    return np.array((0.0, *_FALLBACK_DISCOUNTS))


def _rounded_counts(largest: int) -> Integers:
    """The at most 256 counts that are told apart: all up to 64, or up to 256 if that is all."""
    if largest <= _CODES:
        return np.arange(1, largest + 1)
    steps = np.geomspace(_EXACT_COUNTS, largest, _CODES - _EXACT_COUNTS + 1)[1:]
    return np.unique(np.concatenate((np.arange(1, _EXACT_COUNTS + 1), steps.round()))).astype(int)


def _nearest(rounded: Integers, counts: Integers) -> NDArray[np.uint8]:
    """Index of the nearest of the `rounded` counts (sorted) for each count."""
    return np.searchsorted((rounded[1:] + rounded[:-1]) / 2, counts).astype(np.uint8)


def _first_of_each(keys: Integers) -> Integers:
    """Where each distinct value begins in sorted `keys`."""
    new = np.ones(len(keys), bool)
    np.not_equal(keys[1:], keys[:-1], out=new[1:])
    return np.flatnonzero(new)
