"""Whether confidences can be believed: of what has 0.7, are seven in ten correct?

Pure functions on lists of confidences, and of what was correct.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rapidfuzz.distance import Levenshtein

from sorigeul.base.plots import save_figure
from sorigeul.evaluation.evaluate import RecognizedUtterance
from sorigeul.evaluation.scores import squeeze

_BINS = 15


@dataclass(frozen=True)
class ReliabilityBin:
    """Some texts of about the same confidence."""

    confidence: float
    """their mean confidence"""
    correct: float
    """the share of them that is correct"""
    count: int


def correct_words(words: Sequence[str], reference: str) -> list[bool]:
    """For each word of a hypothesis, whether it is correct.

    It is if the alignment of the words with the fewest edits (Levenshtein) pairs it with an equal
    word of the reference.
    """
    correct = [False] * len(words)
    hypothesis = [squeeze(word) for word in words]
    for edit in Levenshtein.opcodes(hypothesis, squeeze(reference).split()):
        if edit.tag == "equal":
            correct[edit.src_start : edit.src_end] = [True] * (edit.src_end - edit.src_start)
    return correct


def judged_words(utterances: Iterable[RecognizedUtterance]) -> tuple[list[float], list[bool]]:
    """The confidence of each word that was recognised, and whether it is correct."""
    confidences: list[float] = []
    corrects: list[bool] = []
    for one in utterances:
        confidences += [word.confidence for word in one.words]
        corrects += correct_words([word.word for word in one.words], one.reference)
    return confidences, corrects


def correct_shares(segments: Sequence[str], reference: str) -> list[float | None]:
    """For each segment of an utterance, the share of its characters that is correct.

    All segments together are aligned with the reference, character by character and without spaces.
    None for a segment without characters, of which nothing can be said.
    """
    texts = [squeeze(segment).replace(" ", "") for segment in segments]
    hypothesis = "".join(texts)
    correct = np.zeros(len(hypothesis), bool)
    for edit in Levenshtein.opcodes(hypothesis, squeeze(reference).replace(" ", "")):
        if edit.tag == "equal":
            correct[edit.src_start : edit.src_end] = True
    edges = accumulate(map(len, texts), initial=0)
    return [
        float(correct[start:end].mean()) if end > start else None for start, end in pairwise(edges)
    ]


def reliability(
    confidences: Sequence[float], corrects: Sequence[float], bins: int = _BINS
) -> list[ReliabilityBin]:
    """Texts in `bins` of equal size, from the least confidence to the most.

    `corrects` says of each text whether it is correct, or which share of it is, 0 to 1. With fewer
    texts than bins, each is one. Raises ValueError for lists of different lengths.
    """
    if len(confidences) != len(corrects):
        raise ValueError(f"{len(confidences)} confidences, but {len(corrects)} corrects")
    if not len(confidences):
        return []
    confidence, correct = np.asarray(confidences, float), np.asarray(corrects, float)
    order = np.argsort(confidence, kind="stable")
    return [
        ReliabilityBin(float(confidence[part].mean()), float(correct[part].mean()), len(part))
        for part in np.array_split(order, min(bins, len(order)))
    ]


def expected_calibration_error(
    confidences: Sequence[float], corrects: Sequence[float], bins: int = _BINS
) -> float:
    """Mean distance between confidence and what is correct, 0 to 1; 0 for no texts.

    Over bins of equal size, as of `reliability` (Naeini et al. 2015, with the bins of Nguyen and
    O'Connor 2015). It is above 0 for perfect confidences too, by chance: about 0.4 divided by the
    root of the number of texts in a bin.
    """
    parts = reliability(confidences, corrects, bins)
    distance = sum(part.count * abs(part.confidence - part.correct) for part in parts)
    return distance / max(sum(part.count for part in parts), 1)


def plot_reliability(path: Path, parts: Sequence[ReliabilityBin], title: str) -> None:
    """Plot confidence against what is correct; calibrated confidences are on the diagonal."""
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), color="grey", linestyle="--", linewidth=1)
    confidences = [part.confidence for part in parts]
    axes.plot(confidences, [part.correct for part in parts], marker="o", markersize=4)
    axes.set(xlabel="confidence", ylabel="share correct", title=title.replace("$", r"\$"))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.grid(alpha=0.3)
    save_figure(figure, path)
