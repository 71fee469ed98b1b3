"""Finds texts that are some rows off: a line lost or added on the way moved all texts after it.

A line is lost in the order of the source. A split leaves gaps in that order, so the rows of all
splits are put together again by their ids, whose numbers count as numbers. Where ids follow no
order (file names drawn by chance), what is left of it is the order of the manifest.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from pathlib import Path

import numpy as np

from sorigeul.data import manifests
from sorigeul.data.manifests import as_lazy_cuts
from sorigeul.doctor.forced_alignment import Array
from sorigeul.doctor.text_fit import TextFit, doubts, misfit, train_models

_SHIFTS = [sign * rows for rows in range(1, 6) for sign in (-1, 1)]  # the likeliest first
_CHANCE_DEVIATION = 0.6
"""deviation of the misfit of one text of another recording: 1 on average"""
_DEVIATIONS = 4.0  # above chance from which on a share counts; ten shifts in two orders are tried
_MOSTLY_WRONG = 0.4  # misfit above which models have learnt from too many wrong texts
_KEPT_ORDER = 0.5  # of the neighbours in the manifest that are neighbours by their ids too


@dataclass(frozen=True)
class Shift:
    """Recordings whose texts stand in other rows."""

    rows: int
    """from a recording to the row that has its text; negative: before it"""
    order: str
    """what orders the rows: 'ids' or 'manifest'"""
    share: float
    """of the recordings, of 1"""
    first: str
    """id of the first of the examined recordings that are concerned"""
    last: str


def find_shift(corpus: Path, fit: TextFit, time_is_up: Callable[[], bool]) -> Shift | None:
    """The shift that explains why texts of train in this folder of manifests do not fit, if any.

    The search takes a second or two for each of some twenty shifts, and ends when `time_is_up`.
    """
    for order, ids in _orders(corpus):
        places = {id_: place for place, id_ in enumerate(ids)}
        texts = _Neighbours(corpus, ids, [places[one.id] for one in fit.utterances])
        for rows in _SHIFTS:
            if time_is_up():
                return None
            moved = texts.at(rows)
            # A sentence that is read again in the next row tells nothing.
            for number, utterance in enumerate(fit.utterances):
                if moved[number] == utterance.text:
                    moved[number] = ""
            doubted = _doubts_of_moved(fit, moved)
            judged = int(np.isfinite(doubted).sum())
            share = 1 - misfit(doubted)
            if judged and share > _DEVIATIONS * _CHANCE_DEVIATION / sqrt(judged):
                first, last = _range(texts.places, fit.doubts - doubted)
                return Shift(rows, order, share, ids[first], ids[last])
    return None


def _doubts_of_moved(fit: TextFit, texts: Sequence[str]) -> Array:
    """The doubts of other texts of the utterances, of whichever models believe them more."""
    frames = [utterance.frames for utterance in fit.utterances]
    of_own = doubts(fit.models, frames, texts)
    if misfit(fit.doubts) <= _MOSTLY_WRONG:  # models have learnt enough from texts that fit
        return of_own
    models = train_models(frames, texts)
    of_moved = of_own if models is None else doubts(models, frames, texts)
    return min(of_own, of_moved, key=misfit)


def _orders(corpus: Path) -> Iterator[tuple[str, list[str]]]:
    """Ids in the orders that a line may have been lost in."""
    train = [id_ for id_, _ in _rows(corpus, ["train"])]
    everywhere = train + [id_ for id_, _ in _rows(corpus, ["dev", "test"])]
    yield "ids", sorted(everywhere, key=_natural)
    by_id = sorted(train, key=_natural)
    neighbours = set(pairwise(by_id))
    kept = sum(pair in neighbours for pair in pairwise(train))
    if kept < _KEPT_ORDER * (len(train) - 1):
        yield "manifest", train


def _natural(id_: str) -> str:
    return re.sub(r"\d+", lambda digits: digits[0].zfill(20), id_)


def _rows(corpus: Path, splits: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Id and text of each row of these splits."""
    for split in splits:
        cuts = manifests.manifest(corpus, split)
        if cuts is not None:
            for id_, text, _ in as_lazy_cuts(cuts).transcripts():
                yield id_, text


class _Neighbours:
    """Texts of the rows around some rows."""

    def __init__(self, corpus: Path, ids: Sequence[str], places: Sequence[int]) -> None:
        self.ids, self.places = ids, places
        needed = {self._id(place + rows) for place in places for rows in _SHIFTS}
        # Of a large corpus, all texts would not fit into memory.
        rows = _rows(corpus, ["train", "dev", "test"])
        self.texts = {id_: text for id_, text in rows if id_ in needed}

    def at(self, rows: int) -> list[str]:
        """The texts so many rows after each row; empty beyond the ends."""
        return [self.texts.get(self._id(place + rows), "") for place in self.places]

    def _id(self, place: int) -> str:
        return self.ids[place] if 0 <= place < len(self.ids) else ""


def _range(places: Sequence[int], gains: Array) -> tuple[int, int]:
    """First and last place of the run of rows with the largest sum of gains (Kadane)."""
    total, best, start, result = 0.0, 0.0, 0, (min(places), max(places))
    for index in np.argsort(places):
        if total <= 0:
            total, start = 0.0, places[index]
        total += float(np.nan_to_num(gains[index]))
        if total > best:
            best, result = total, (start, places[index])
    return result
