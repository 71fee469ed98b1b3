"""Forced alignment by a model of letters that learns from some hundred utterances in seconds.

One Gaussian for each letter (a jamo, or a character of another script), states from left to right,
Viterbi training from a uniform alignment (Juang and Rabiner 1990). Does not know which texts are
compared.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.intp]

UNALIGNABLE = -np.inf
"""score of a text with more letters than the recording has frames"""

_LETTERS = 70  # the most frequent ones; all others share a state
_ITERATIONS = 4
_PRIOR_FRAMES = 20.0  # by which the mean of a rare letter is drawn to the mean of all
_RIDGE = 1e-3  # of the covariance of frames
_BATCH = 50  # utterances of about the same length


def letters(text: str) -> list[str]:
    """The letters of a text as they are spoken: jamo, and characters of other scripts."""
    return [unit for unit in unicodedata.normalize("NFD", text) if unit.isalnum()]


@dataclass(frozen=True, eq=False)
class LetterModel:
    """What each letter sounds like, by the mean of its frames."""

    ids: dict[str, int]
    whitening: Array
    """(D, D), after which the frames of a letter have unit covariance"""
    means: Array
    """of whitened frames (letters, D); the last one is of letters that are not in `ids`"""

    @classmethod
    def trained(cls, frames: Sequence[Array], texts: Sequence[str]) -> "LetterModel | None":
        """Learn from utterances: frames (T, D) of each, and its text. None if none can be aligned.

        Texts that have no letters, or more letters than frames, are left out.
        """
        counts = Counter(letter for text in texts for letter in letters(text))
        ids = {letter: number for number, (letter, _) in enumerate(counts.most_common(_LETTERS))}
        pairs = [(rows, _encode(text, ids)) for rows, text in zip(frames, texts, strict=True)]
        pairs = [(rows, states) for rows, states in pairs if 0 < len(states) <= len(rows)]
        if not pairs:
            return None
        paths = [np.arange(len(rows)) * len(states) // len(rows) for rows, states in pairs]
        model = cls._estimated(ids, pairs, paths)
        for _ in range(_ITERATIONS):
            model = cls._estimated(ids, pairs, [path for _, path in model._align(pairs)])
        return model

    @classmethod
    def _estimated(
        cls, ids: dict[str, int], pairs: Sequence[tuple[Array, Integers]], paths: Sequence[Integers]
    ) -> "LetterModel":
        """The model of frames whose states are known: the position in the text of each (T,)."""
        rows = np.concatenate([rows for rows, _ in pairs])
        labels = np.concatenate(
            [states[path] for (_, states), path in zip(pairs, paths, strict=True)]
        )
        sums = np.zeros((len(ids) + 1, rows.shape[1]), rows.dtype)
        np.add.at(sums, labels, rows)
        means = sums / (np.bincount(labels, minlength=len(sums))[:, None] + _PRIOR_FRAMES)
        covariance = np.cov((rows - means[labels]).T) + _RIDGE * np.eye(rows.shape[1])
        whitening = np.linalg.cholesky(np.linalg.inv(covariance)).astype(rows.dtype)
        return cls(ids, whitening, (means @ whitening).astype(rows.dtype))

    def scores(self, frames: Sequence[Array], texts: Sequence[str]) -> Array:
        """Log-likelihood a frame of each text on its recording (B,), up to a term of the recording.

        `UNALIGNABLE` where there are more letters than frames, or no letters.
        """
        pairs = [(rows, _encode(text, self.ids)) for rows, text in zip(frames, texts, strict=True)]
        alignable = [
            number for number, (rows, states) in enumerate(pairs) if 0 < len(states) <= len(rows)
        ]
        scores = np.full(len(pairs), UNALIGNABLE)
        aligned = self._align([pairs[number] for number in alignable], with_paths=False)
        scores[alignable] = [score for score, _ in aligned]
        return scores

    def _align(
        self, pairs: Sequence[tuple[Array, Integers]], with_paths: bool = True
    ) -> list[tuple[float, Integers]]:
        """Score and path of each pair of frames and states: Viterbi, in batches of one length."""
        results: list[tuple[float, Integers]] = [(0.0, np.empty(0, int))] * len(pairs)
        order = sorted(range(len(pairs)), key=lambda number: len(pairs[number][0]))
        for first in range(0, len(order), _BATCH):
            numbers = order[first : first + _BATCH]
            aligned = self._align_batch([pairs[number] for number in numbers], with_paths)
            for number, result in zip(numbers, aligned, strict=True):
                results[number] = result
        return results

    def _align_batch(
        self, pairs: Sequence[tuple[Array, Integers]], with_paths: bool
    ) -> Iterator[tuple[float, Integers]]:
        frame_counts = np.array([len(rows) for rows, _ in pairs])
        last = np.array([len(states) for _, states in pairs]) - 1
        utterances, longest = np.arange(len(pairs)), frame_counts.max()
        states = np.zeros((len(pairs), last.max() + 1), int)
        frames = np.zeros((len(pairs), longest, self.whitening.shape[0]), self.whitening.dtype)
        for number, (rows, its_states) in enumerate(pairs):
            frames[number, : len(rows)], states[number, : len(its_states)] = rows, its_states
        likelihoods = frames @ (self.whitening @ self.means.T) - (self.means**2).sum(1) / 2
        fits = np.take_along_axis(likelihoods, states[:, None, :], 2)  # (B, T, U)
        score = np.full(states.shape, UNALIGNABLE, fits.dtype)
        score[:, 0] = fits[:, 0, 0]
        moved = np.zeros(fits.shape if with_paths else (0,), bool)
        final = score[utterances, last]
        for frame in range(1, longest):
            moves = score[:, :-1] > score[:, 1:]
            score[:, 1:] = np.where(moves, score[:, :-1], score[:, 1:])
            score += fits[:, frame]
            if with_paths:
                moved[:, frame, 1:] = moves
            ends = frame_counts == frame + 1
            final[ends] = score[ends, last[ends]]
        for number, count in enumerate(frame_counts):
            path = _backtrace(moved[number, :count], last[number]) if with_paths else last[:0]
            yield float(final[number] / count), path


def _backtrace(moved: npt.NDArray[np.bool_], last: int) -> Integers:
    """The position of each frame (T,), from where each position (T, U) was moved into."""
    path = np.empty(len(moved), int)
    position = last
    for frame in range(len(moved) - 1, -1, -1):
        path[frame] = position
        position -= moved[frame, position]
    return path


def _encode(text: str, ids: dict[str, int]) -> Integers:
    return np.array([ids.get(letter, len(ids)) for letter in letters(text)], int)
