"""Batches of lines for the training of a language model, in an order that the seed decides.

Every line is a text of its own: a recogniser starts at the beginning of a line too, so that is
where the model has to be good. Lines of about the same length share a batch, so little of it is
padding. A line longer than `max_length` is cut; the later pieces begin with the character before
them, not with ``<s>``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sorigeul.text.vocabulary import Vocabulary

_POOL = 50
"""batches whose lines are sorted by length together"""
_BLOCK = 2**22
"""characters that are searched for line ends at once"""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextBatch:
    """Pieces of lines, padded with `pad_id`."""

    inputs: Tensor
    """(B, U) characters that are read"""
    targets: Tensor
    """(B, U) the character after each of them; `pad_id` also where it is unknown: no target"""
    characters: int
    """length of the pieces, without padding"""


class TextBatches:
    """The batches of a text: ids of lines one after another, each ended by `eos_id`."""

    def __init__(
        self, text: npt.NDArray[Any], vocabulary: Vocabulary, batch_characters: int, max_length: int
    ) -> None:
        self.text, self.vocabulary = text, vocabulary
        self.batch_characters = batch_characters
        self.starts, self.lengths = _pieces(text, vocabulary.eos_id, max_length)
        self.characters = int(self.lengths.sum())

    def in_order(self) -> Iterator[TextBatch]:
        """All batches, from the shortest lines to the longest."""
        for pieces in self._cut(np.argsort(self.lengths, kind="stable")):
            yield self._batch(pieces)

    def shuffled(self, seed: int, epoch: int, skip: int = 0) -> Iterator[TextBatch]:
        """The batches of an epoch, without the first `skip` of them."""
        random = np.random.default_rng((seed, epoch))
        order = random.permutation(len(self.lengths))
        mean_length = self.characters / len(self.lengths)
        pool_size = max(1, round(_POOL * self.batch_characters / mean_length))
        for first in range(0, len(order), pool_size):
            pool = order[first : first + pool_size]
            by_length = pool[np.argsort(self.lengths[pool], kind="stable")]
            batches = list(self._cut(by_length))
            for number in random.permutation(len(batches)):
                if skip:
                    skip -= 1
                else:
                    yield self._batch(batches[number])

    def _cut(self, by_length: Integers) -> Iterator[Integers]:
        """Pieces by increasing length -> those of each batch."""
        lengths, first = self.lengths[by_length], 0
        most = self.batch_characters
        while first < len(by_length):
            # The size of a batch that ends with each of the next pieces; one has at least one.
            next_lengths = lengths[first : first + most]
            sizes = next_lengths * np.arange(1, len(next_lengths) + 1)
            count = max(1, int(np.searchsorted(sizes, most, side="right")))
            yield by_length[first : first + count]
            first += count

    def _batch(self, pieces: Integers) -> TextBatch:
        starts, lengths = self.starts[pieces, None], self.lengths[pieces, None]
        positions = np.arange(lengths.max())
        # Past its end a piece points at its last character, and is overwritten with padding.
        places = starts + np.minimum(positions, lengths - 1)
        pad = self.vocabulary.pad_id
        targets = np.where(positions < lengths, self.text[places], pad).astype(np.int64)
        inputs = np.full_like(targets, pad)
        inputs[:, 1:] = targets[:, :-1]
        before = self.text[np.maximum(starts[:, 0] - 1, 0)].astype(np.int64)
        line_start = (starts[:, 0] == 0) | (before == self.vocabulary.eos_id)
        inputs[:, 0] = np.where(line_start, self.vocabulary.sos_id, before)
        return TextBatch(torch.from_numpy(inputs), torch.from_numpy(targets), int(lengths.sum()))


def _pieces(text: npt.NDArray[Any], eos: int, max_length: int) -> tuple[Integers, Integers]:
    """Starts and lengths of the lines in a text, long ones cut into pieces of about equal length.

    An end of line belongs to its line.
    """
    blocks = range(0, len(text), _BLOCK)
    ends = np.concatenate(
        [np.flatnonzero(text[first : first + _BLOCK] == eos) + first + 1 for first in blocks]
    )
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    counts = -(-lengths // max_length)
    line = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = starts[line] + number * lengths[line] // counts[line]
    last = starts[line] + (number + 1) * lengths[line] // counts[line]
    return first, last - first
