"""Whether texts belong to their recordings, by forced alignment against texts of the same length.

If a text belongs to its recording, hardly any other text of its length fits better; if it does not,
about half of them do. That needs no bound that would depend on voices and rooms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from sorigeul.doctor.forced_alignment import Array, LetterModel, letters
from sorigeul.doctor.measurements import Measurements

_OTHERS = 10  # texts that each text is compared with
_LEAST_OTHERS = 5
_LEAST_LETTERS = 20  # of a text; about eight syllables. Shorter ones resemble each other
_CHANCE = 0.5  # share of other texts that fit better than one that does not belong

Models = tuple[LetterModel, LetterModel]


@dataclass(frozen=True, eq=False)
class TextFit:
    """Utterances, models that have learnt from them, and how well the texts fit."""

    utterances: Sequence[Measurements]
    models: Models
    doubts: Array
    """(B,)"""


def train_models(frames: Sequence[Array], texts: Sequence[str]) -> Models | None:
    """A model for the utterances of even number, learnt from those of odd number, and vice versa.

    So no text is judged by a model that has learnt it. `frames` are those of
    `measurements.Measurements`. None if there is nothing to learn from.
    """
    first, second = (LetterModel.trained(frames[odd::2], texts[odd::2]) for odd in (1, 0))
    return None if first is None or second is None else (first, second)


def doubts(models: Models, frames: Sequence[Array], texts: Sequence[str]) -> Array:
    """Share of other texts of about the same length that fit each recording better (B,), of 1.

    About 0 for a text that belongs to its recording, and 0.5 on average for one that does not.
    nan for texts that are too short, or of whose length there are too few.
    """
    result = np.full(len(texts), np.nan)
    others = _texts_of_same_length(texts)
    for odd, model in enumerate(models):
        numbers = [number for number in range(odd, len(texts), 2) if others[number]]
        own = model.scores([frames[n] for n in numbers], [texts[n] for n in numbers])
        pairs = [(number, other) for number in numbers for other in others[number]]
        scores = model.scores([frames[n] for n, _ in pairs], [other for _, other in pairs])
        ends = np.cumsum([len(others[number]) for number in numbers])
        for number, score, other_scores in zip(
            numbers, own, np.split(scores, ends[:-1]), strict=True
        ):
            better = float(np.mean(other_scores > score))
            result[number] = better if np.isfinite(score) else _CHANCE
    return result


def misfit(text_doubts: Array) -> float:
    """Share of the texts that do not belong to their recordings, of 1, from the `doubts` of all.

    1 if none could be judged.
    """
    judged = text_doubts[np.isfinite(text_doubts)]
    return min(1.0, float(judged.mean()) / _CHANCE) if len(judged) else 1.0


def _texts_of_same_length(texts: Sequence[str]) -> list[list[str]]:
    """For each text, others of about its length; none if it cannot be judged."""
    random = Random(0)
    lengths = [len(letters(text)) for text in texts]
    order = sorted(range(len(texts)), key=lengths.__getitem__)
    others: list[list[str]] = [[] for _ in texts]
    for position, number in enumerate(order):
        if lengths[number] < _LEAST_LETTERS:
            continue
        nearby = order[max(0, position - 2 * _OTHERS) : position + 2 * _OTHERS + 1]
        different = sorted({texts[other] for other in nearby} - {texts[number]})
        if len(different) >= _LEAST_OTHERS:
            others[number] = random.sample(different, min(_OTHERS, len(different)))
    return others
