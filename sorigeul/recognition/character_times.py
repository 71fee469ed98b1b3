"""When each character of a hypothesis is spoken, by CTC or by the attention.

Where a unit of the vocabulary has several characters, it is the unit that is placed, and its
characters share its time (`spell_out`). B utterances, S frames, U characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sorigeul.base.arrays import Array, to_numpy
from sorigeul.model.ctc_alignment import ctc_spans
from sorigeul.search.hypothesis import Alignment, Hypothesis
from sorigeul.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from sorigeul.model.las import ListenAttendSpell, ListenerOutput

Spans = np.ndarray[Any, np.dtype[np.float64]]
"""start and end of each character (U, 2)"""

_LEAST_ATTENTION = 1e-6  # so that its logarithm is finite


@dataclass(frozen=True, eq=False)
class CharacterTimes:
    """The U characters of a hypothesis in time, as CTC or the attention places them."""

    spans: Spans
    """as shares of the utterance, 0 to 1, in order and without overlaps (U, 2)"""
    ctc_probabilities: list[float] | None
    """the CTC head's probability of each character (U); None if it cannot align the text"""


def character_times(
    model: ListenAttendSpell,
    encoded: ListenerOutput,
    hypotheses: Sequence[Hypothesis],
    reversed_input: bool,
) -> list[CharacterTimes]:
    """The times of the characters of each utterance (B).

    By forced alignment with the CTC head. Without one (or for reversed input, which CTC cannot
    read), by the best path through the attention. A text that has more characters than there are
    frames, or a model without attention: as if all characters took equally long.
    """
    logits = None if reversed_input else model.ctc_logits(encoded)
    if logits is not None:
        tokens = [hypothesis.tokens for hypothesis in hypotheses]
        return _align(logits, encoded.ctc_lengths, tokens, model.config.pad_id, by_ctc=True)
    if model.config.use_attention:
        alignments = [hypothesis.alignment for hypothesis in hypotheses]
        return _align_attention(alignments, reversed_input)
    return [CharacterTimes(_even_spans(len(row.tokens)), None) for row in hypotheses]


def spell_out(
    hypothesis: Hypothesis, times: CharacterTimes, vocabulary: Vocabulary
) -> tuple[Hypothesis, CharacterTimes]:
    """A hypothesis and its times, of units -> the same of characters.

    A unit is right or wrong as a whole, so each of its characters has its probabilities, and its
    attention. They have equal shares of its time, but for the space before a word, which has none.
    """
    if vocabulary.kind != "bpe":
        return hypothesis, times
    tokens = vocabulary.spell(hypothesis.tokens)
    units = [vocabulary.units[token] for token in hypothesis.tokens]
    places = np.repeat(np.arange(len(units)), [len(unit) for unit in units])
    places = places[len(places) - len(tokens) :]  # without the space before the first word
    spans = [_divided(span, unit) for span, unit in zip(times.spans, units, strict=True)]
    all_spans = np.concatenate([np.empty((0, 2)), *spans])
    own, ctc = hypothesis.probabilities, times.ctc_probabilities
    spelled = replace(
        hypothesis,
        tokens=tokens,
        probabilities=[own[place] for place in places],
        alignment=hypothesis.alignment[places],
    )
    return spelled, CharacterTimes(
        all_spans[len(all_spans) - len(tokens) :],
        None if ctc is None else [ctc[place] for place in places],
    )


def _divided(span: npt.NDArray[np.float64], unit: str) -> Spans:
    """The spans of a unit's characters within its own (2,)."""
    start, end = span
    silent = len(unit) > 1 and unit[0].isspace()
    edges = np.linspace(start, end, len(unit) + 1 - silent)
    edges = np.insert(edges, 0, [start] * silent)
    return np.stack((edges[:-1], edges[1:]), axis=1)


def _align_attention(alignments: Sequence[Alignment], reversed_input: bool) -> list[CharacterTimes]:
    """The best path through each attention (U, S): from character to character, frame by frame.

    It is found like a CTC path. In a frame, the units are the characters of this utterance; the
    blank is as probable as a character that is attended to in all frames alike.
    """
    lengths = np.array([alignment.shape[1] for alignment in alignments])
    tokens = [list(range(len(alignment))) for alignment in alignments]
    blank = max(map(len, tokens), default=0)
    logits = np.full((len(alignments), lengths.max(), blank + 1), -np.inf, np.float32)
    for row, alignment in enumerate(alignments):
        characters, frames = alignment.shape
        in_order = alignment[:, ::-1] if reversed_input else alignment
        logits[row, :frames, :characters] = np.log(in_order.T.clip(_LEAST_ATTENTION))
    logits[:, :, blank] = -np.log(lengths.clip(1))[:, None]
    return _align(logits, lengths, tokens, blank, by_ctc=False)


def _align(
    logits: Array, lengths: Array, tokens: Sequence[Sequence[int]], blank: int, by_ctc: bool
) -> list[CharacterTimes]:
    """The spans on the best paths through `logits` (B, S, V) of texts (U) of each utterance."""
    counts = [len(row) for row in tokens]
    padded = np.zeros((len(tokens), max(counts)), np.int64)
    for row, ids in enumerate(tokens):
        padded[row, : len(ids)] = ids
    found = ctc_spans(logits, lengths, padded, np.array(counts), blank)
    edges = np.stack((found.first, found.last + 1), axis=2) / to_numpy(lengths)[:, None, None]
    return [
        CharacterTimes(
            edges[row, :count],
            found.probability[row, :count].tolist() if by_ctc else None,
        )
        if bool(found.aligned[row, :count].all())
        else CharacterTimes(_even_spans(count), None)
        for row, count in enumerate(counts)
    ]


def _even_spans(count: int) -> Spans:
    edges = np.linspace(0, 1, count + 1)
    return np.stack((edges[:-1], edges[1:]), axis=1)
