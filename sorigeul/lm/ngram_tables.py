"""How n-grams are stored and found: packed into integers, sorted, grouped by context.

G n-grams of one order, C distinct contexts of them, V vocabulary.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Packing:
    """Sequences of token ids as integers (int64): the last token has the lowest bits.

    As integers, sequences of one length are in the order of their tokens, so all n-grams with the
    same context are neighbours in a sorted array.
    """

    vocabulary_size: int

    @property
    def bits(self) -> int:
        """Bits of one token."""
        return (self.vocabulary_size - 1).bit_length()

    @property
    def longest(self) -> int:
        """Tokens that fit into one integer; the sign bit stays free."""
        return 63 // self.bits

    def mask(self, length: int) -> int:
        """The bits of the last `length` tokens."""
        return (1 << length * self.bits) - 1

    def pack(self, tokens: Iterable[int]) -> int:
        """One sequence as an integer."""
        packed = 0
        for token in tokens:
            packed = packed << self.bits | token
        return packed

    def windows(self, ids: NDArray[np.integer[Any]], length: int) -> Integers:
        """The `length` tokens that end at each of `ids`, packed; id 0 before the first."""
        packed = ids.astype(np.int64)
        for distance in range(1, length):
            packed[distance:] |= ids[:-distance].astype(np.int64) << (distance * self.bits)
        return packed


def _rises(array: NDArray[Any]) -> bool:
    """Whether each number is larger than the one before."""
    return bool((array[1:] > array[:-1]).all())


def with_line_starts(ids: NDArray[np.integer[Any]], sos_id: int, eos_id: int) -> NDArray[Any]:
    """`ids`, lines that each end with `eos_id`, with `sos_id` before each line."""
    starts = np.flatnonzero(ids[:-1] == eos_id) + 1
    return np.insert(ids, np.append(0, starts), sos_id)


@dataclass(frozen=True)
class NgramTable:
    """The n-grams of one order, two or higher, by context.

    The probability of token w after context h is interpolated: p(w | h) = weight(h w) + backoff(h)
    p(w | h without its first token). Weights are proportional to the values of the n-grams, and sum
    to 1 - backoff(h). That of an n-gram that is not stored is 0.
    """

    contexts: Integers
    """packed, sorted (C,)"""
    starts: NDArray[np.uint32]
    """the n-grams of context i are those from starts[i] to starts[i + 1] (C + 1,)"""
    backoffs: NDArray[np.float32]
    """of each context: what its n-grams leave of the probability (C,)"""
    tokens: NDArray[np.unsignedinteger[Any]]
    """last token of each n-gram, sorted within a context (G,)"""
    codes: NDArray[np.uint8]
    """index into `values` for each n-gram (G,)"""
    values: NDArray[np.float32]
    """the discounted counts that occur, at most 256 of them"""

    def __post_init__(self) -> None:
        """Check that the arrays belong together; ValueError if not."""
        if any(array.ndim != 1 for array in vars(self).values()) or not len(self.starts):
            raise ValueError("arrays of an n-gram table are not lists")
        lengths = {len(self.contexts), len(self.starts) - 1, len(self.backoffs)}
        if len(lengths) > 1 or not len(self.tokens) == len(self.codes) == self.starts[-1]:
            raise ValueError("arrays of an n-gram table do not have the same length")

    def check(self, vocabulary_size: int) -> None:
        """Check all numbers of a table that was read from a file; ValueError if one cannot be."""
        kinds = {"contexts": "i", "starts": "u", "backoffs": "f", "tokens": "u", "codes": "u"}
        for name, kind in {**kinds, "values": "f"}.items():
            if getattr(self, name).dtype.kind != kind:
                raise ValueError(f"{name} are of type {getattr(self, name).dtype}")
        if self.starts[0] != 0 or not _rises(self.starts) or not _rises(self.contexts):
            raise ValueError("n-grams of a table are not in order")
        if len(self.backoffs) and not (self.backoffs.min() >= 0 and self.backoffs.max() <= 1):
            raise ValueError("backoffs of a table are no probabilities")
        # A discount may take all of a count; no n-gram may have what is left of that.
        useless = np.flatnonzero(~(self.values > 0))
        if any((self.codes == code).any() for code in useless):
            raise ValueError("values of a table are not above 0")
        if len(self.tokens) and not (
            self.tokens.max() < vocabulary_size and self.codes.max() < len(self.values)
        ):
            raise ValueError("n-grams of a table have characters or values that do not exist")

    def find(self, contexts: Integers) -> tuple[Integers, Integers]:
        """Which of `contexts` (N,) the table has, as row numbers, and where (both (M,))."""
        if not len(self.contexts):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        places = np.searchsorted(self.contexts, contexts)
        places = np.minimum(places, len(self.contexts) - 1)
        rows = np.flatnonzero(self.contexts[places] == contexts)
        return rows, places[rows]

    def continuations(
        self, places: Integers
    ) -> tuple[Integers, NDArray[np.unsignedinteger[Any]], NDArray[np.float32]]:
        """All n-grams of the contexts at `places` (M,), M at least 1, context after context.

        Returns how many each context has (M,), and the last token and the weight of each n-gram.
        """
        starts, ends = self.starts[places].astype(np.int64), self.starts[places + 1]
        lengths = ends - starts
        ranges = [slice(*bounds) for bounds in zip(starts.tolist(), ends.tolist(), strict=True)]
        tokens = np.concatenate([self.tokens[ngrams] for ngrams in ranges])
        values = self.values[np.concatenate([self.codes[ngrams] for ngrams in ranges])]
        totals = np.add.reduceat(values, np.cumsum(lengths) - lengths)
        scales = (1 - self.backoffs[places]) / totals
        return lengths, tokens, values * np.repeat(scales, lengths)

    def weights_of(self, places: Integers, tokens: Integers) -> NDArray[np.float32]:
        """The weight of one token after each context (both (M,)); M at least 1."""
        distinct, owners = np.unique(places, return_inverse=True)
        lengths, stored_tokens, weights = self.continuations(distinct)
        stored = np.repeat(np.arange(len(distinct)) << 32, lengths) | stored_tokens
        wanted = owners << 32 | tokens
        ngrams = np.minimum(np.searchsorted(stored, wanted), len(stored) - 1)
        return np.where(stored[ngrams] == wanted, weights[ngrams], 0)
