"""How well a language model predicts text: log-probabilities of lines, perplexity."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from sorigeul.lm.language_model import LanguageModel, unit_lengths
from sorigeul.text.file_encoding import read_lines
from sorigeul.text.normalization import normalizer

_BATCH = 64
"""lines that are scored side by side"""


@dataclass(frozen=True)
class LineScore:
    """How probable a line is."""

    text: str
    log_probability: float
    """natural; of its known characters and its end"""
    characters: int
    """known characters, and the end"""
    unknown: int
    """characters that the vocabulary does not have"""


@dataclass(frozen=True)
class TextScore:
    """How probable a text is: sums over its lines."""

    log_probability: float
    characters: int
    unknown: int

    @property
    def bits_per_character(self) -> float:
        """Cross entropy in bits; 0 for an empty text."""
        return -self.log_probability / max(self.characters, 1) / math.log(2)

    @property
    def perplexity(self) -> float:
        """2 to the power of the bits a character; infinite if that is beyond all numbers."""
        bits = self.bits_per_character
        return float(2.0**bits) if bits < 1024 else math.inf


def score_file(
    model: LanguageModel[Any], path: Path, report: Callable[[LineScore], None] | None = None
) -> TextScore:
    """Score each line of a text file that is not blank, and call `report` with it.

    Spaces are normalised as in transcripts; nothing else is changed. Raises UserError if the file
    is missing or is no text.
    """
    plain = normalizer("plain")
    lines = (text for line, _ in read_lines(path) if (text := plain(line)))
    log_probability, characters, unknown = 0.0, 0, 0
    for score in score_lines(model, lines):
        log_probability += score.log_probability
        characters += score.characters
        unknown += score.unknown
        if report is not None:
            report(score)
    return TextScore(log_probability, characters, unknown)


@torch.no_grad()
def score_lines(model: LanguageModel[Any], lines: Iterable[str]) -> Iterator[LineScore]:
    """The score of each line, in order."""
    remaining = iter(lines)
    while texts := list(islice(remaining, _BATCH)):
        yield from _score_batch(model, texts)


def _score_batch(model: LanguageModel[Any], texts: list[str]) -> list[LineScore]:
    vocabulary = model.vocabulary
    pad = vocabulary.pad_id
    rows = [[*vocabulary.encode_all(text), vocabulary.eos_id] for text in texts]
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    sums = torch.zeros(len(texts), dtype=torch.float64)
    state = model.start(len(texts))
    for column in tokens.T:
        scores = model.scores(state).cpu().gather(1, column.unsqueeze(1)).squeeze(1)
        sums += torch.where(column == pad, 0.0, scores.double())
        state = model.advance(state, column)
    lengths = unit_lengths(vocabulary)
    return [
        LineScore(text, float(total), int(lengths[row].sum()), row.count(pad))
        for text, total, row in zip(texts, sums, rows, strict=True)
    ]
