"""Beam search over the sum of several scorers, for a batch of utterances.

B utterances, K hypotheses each (the beam width), N = B K hypotheses with an utterance's in
successive rows, U characters, S listener frames, V vocabulary. Does not know about audio or text.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from sorigeul.base.arrays import Array, inference, largest, namespace, to_numpy
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.search.scorers import RepetitionGuard, Scorer, SpellerScorer

_WORTH_DROPPING = 0.25
"""share of the utterances of a beam that are done, from which it is worth to go on without them"""


@dataclass(frozen=True)
class SpecialTokens:
    """Ids that end a text or are never part of one."""

    sos_id: int
    eos_id: int
    pad_id: int


@dataclass(frozen=True)
class _Ending:
    """A complete hypothesis: where it ends, and what it is worth."""

    characters: int
    row: int
    """its row after so many characters"""
    finished: bool
    score: float
    scores: Mapping[str, float]
    repetitive: bool


@dataclass
class _Complete:
    """The best complete hypotheses of one utterance, `nbest` at most."""

    nbest: int
    added: int = 0
    heap: list[tuple[float, int, _Ending]] = field(default_factory=list)
    """the worst first; the number tells hypotheses of equal scores apart, the older one is kept"""

    @property
    def bar(self) -> float:
        """The score that a further hypothesis must exceed."""
        return self.heap[0][0] if len(self.heap) == self.nbest else -inf

    def add(self, ending: _Ending) -> None:
        entry = (ending.score, -self.added, ending)
        self.added += 1
        if len(self.heap) < self.nbest:
            heapq.heappush(self.heap, entry)
        else:
            heapq.heapreplace(self.heap, entry)

    def ranked(self) -> list[_Ending]:
        return [ending for _, _, ending in sorted(self.heap, reverse=True)]


@dataclass(frozen=True)
class _Extension:
    """One step of a beam: N hypotheses, each made of one of the step before and a character."""

    parents: Array
    """rows of the hypotheses that were extended (N,)"""
    tokens: Array
    """the characters (N,)"""
    log_probabilities: Array
    """the speller's, of the characters (N,)"""
    attention: Array
    """for the next character of each hypothesis of the step before, by row (N', S)"""

    def to_numpy(self) -> "_Extension":
        arrays = self.parents, self.tokens, self.log_probabilities, self.attention
        return _Extension(*map(to_numpy, arrays))


class _Beam:
    """The unfinished hypotheses of all utterances, and what each scorer gives them so far."""

    def __init__(
        self, speller: SpellerScorer, others: Sequence[Scorer], special: SpecialTokens
    ) -> None:
        self._speller, self._scorers = speller, (speller, *others)
        self._special = special
        hypotheses, device = len(speller.attention), speller.attention.device
        xp = self._xp = namespace(speller.attention)
        zeros = xp.zeros(hypotheses, dtype=xp.float64, device=device)
        self._totals = [zeros for _ in self._scorers]
        """sum of each scorer's scores, without its weight (N,)"""
        self._extensions: list[_Extension] = []

    def score(self) -> Array:
        """The score of each hypothesis with each next character (N, V)."""
        steps = [scorer.score() for scorer in self._scorers]
        shape = steps[0].shape
        total, sums = self._xp.zeros_like(self._totals[0]), self._xp.zeros_like(steps[0])
        for scorer, before, step in zip(self._scorers, self._totals, steps, strict=True):
            if scorer.weight != 0:
                total += scorer.weight * before
                sums += scorer.weight * step
        sums += total[:, None]
        sums[:, self._special.sos_id] = -inf
        sums[:, self._special.pad_id] = -inf
        self._steps = [self._xp.broadcast_to(step, shape) for step in steps]
        return sums

    def certain_end(self) -> Array:
        """The scores (N,) of hypotheses that end here, forbidden or not."""
        sums = self._xp.zeros_like(self._totals[0])
        for scorer, total, step in zip(self._scorers, self._totals, self._steps, strict=True):
            end = step[:, self._special.eos_id]
            sums += scorer.weight * (total + self._xp.where(self._xp.isinf(end), 0.0, end))
        return sums

    def most_gain(self, characters: Array) -> Array:
        """The most that so many further characters (R,) can add to a score."""
        gains = [scorer.weight * scorer.most_gain(characters) for scorer in self._scorers]
        return self._xp.stack(gains).clip(0).sum(0)

    def scores_of_ends(self) -> list[list[float]]:
        """What each scorer gives each hypothesis if it ends here, without its weight."""
        eos_id = self._special.eos_id
        pairs = zip(self._totals, self._steps, strict=True)
        ends: list[list[float]] = self._xp.stack(
            [total + step[:, eos_id] for total, step in pairs], 1
        ).tolist()
        return ends

    def ending(self, row: int, finished: bool, score: float, ends: Sequence[float]) -> _Ending:
        """The hypothesis in a row, which ends here; `ends` is its row of `scores_of_ends`."""
        names = [scorer.name for scorer in self._scorers]
        guards = [scorer for scorer in self._scorers if isinstance(scorer, RepetitionGuard)]
        return _Ending(
            characters=len(self._extensions),
            row=row,
            finished=finished,
            score=score,
            scores=dict(zip(names, ends, strict=True)),
            repetitive=any(bool(guard.repetitive[row]) for guard in guards),
        )

    def keep(self, utterances: Array) -> None:
        """Drop all utterances but these (B',); `extend` follows."""
        for scorer in self._scorers:
            scorer.keep(utterances)

    def extend(self, rows: Array, tokens: Array) -> None:
        """Go on with the hypotheses in `rows` (N,), each extended by one of `tokens` (N,)."""
        gains = [step[rows, tokens] for step in self._steps]
        self._extensions.append(_Extension(rows, tokens, gains[0], self._speller.attention))
        pairs = zip(self._totals, gains, strict=True)
        self._totals = [total[rows] + gain for total, gain in pairs]
        for scorer in self._scorers:
            scorer.select(rows, tokens)

    def hypotheses(
        self, endings: Sequence[Sequence[_Ending]], frames: Sequence[int]
    ) -> list[list[Hypothesis]]:
        """The hypotheses of utterances with so many valid frames, from their ends."""
        extensions = [extension.to_numpy() for extension in self._extensions]
        return [
            [_trace_back(extensions[: ending.characters], ending, valid) for ending in of_one]
            for of_one, valid in zip(endings, frames, strict=True)
        ]


def _trace_back(extensions: Sequence[_Extension], ending: _Ending, frames: int) -> Hypothesis:
    """The hypothesis with this end, from the steps up to it."""
    row, tokens = ending.row, []
    log_probabilities = np.empty(len(extensions))
    alignment = np.empty((len(extensions), frames), np.float32)
    for step in reversed(range(len(extensions))):
        extension = extensions[step]
        tokens.append(int(extension.tokens[row]))
        log_probabilities[step] = extension.log_probabilities[row]
        row = extension.parents[row]
        alignment[step] = extension.attention[row, :frames]
    return Hypothesis(
        tokens=tokens[::-1],
        probabilities=np.exp(log_probabilities).astype(np.float32).tolist(),
        alignment=alignment,
        finished=ending.finished,
        score=ending.score,
        scores=ending.scores,
        repetitive=ending.repetitive,
    )


@inference()
def beam_search(
    speller: SpellerScorer,
    others: Sequence[Scorer],
    special: SpecialTokens,
    limits: Array,
    frames: Sequence[int],
    nbest: int = 1,
) -> list[list[Hypothesis]]:
    """The `nbest` best hypotheses of each utterance, the best first.

    The scorers judge N = B K hypotheses for B utterances, whose most characters are `limits` (B,)
    and whose valid listener frames are `frames`. An utterance is done when none of its incomplete
    hypotheses can become better than its complete ones, even if every further character up to its
    limit gained all that a scorer may add (`Scorer.most_gain`). Where only probabilities count,
    which can only fall, that is as soon as a complete hypothesis is better than all incomplete
    ones.
    """
    beam = _Beam(speller, others, special)
    xp, device = namespace(limits), limits.device
    width, last_step = len(speller.attention) // len(limits), int(limits.max())
    most_gains = beam.most_gain(xp.arange(last_step + 1, device=device))
    complete = [_Complete(nbest) for _ in range(len(limits))]
    running = complete  # those of the utterances that the beam has
    bars = xp.full((len(limits),), -inf, dtype=xp.float64, device=device)
    # All hypotheses of an utterance start out the same: only the first counts.
    active = xp.broadcast_to(xp.arange(width, device=device) == 0, (len(limits), width))
    for step in range(last_step + 1):
        scores = beam.score().reshape(*active.shape, -1)
        ending = xp.where(active, scores[..., special.eos_id], -inf)
        scores[..., special.eos_id] = -inf
        may_go_on = active & (step < limits)[:, None]
        scores = xp.where(may_go_on[..., None], scores, -inf)
        characters = scores.shape[2]
        top_scores, top_places = largest(scores.reshape(len(scores), -1), width)
        finished = ~xp.isinf(ending)
        # If an utterance has no complete hypothesis yet, and its hypotheses can be neither extended
        # nor completed, they end here, as if nothing forbade it.
        if not all(kept.heap for kept in running):
            none_yet = xp.asarray([not kept.heap for kept in running], device=device)
            stuck = none_yet & xp.isinf(top_scores[:, 0])
            cut_off = stuck[:, None] & active & ~finished
            if cut_off.any():
                ending = xp.where(cut_off, beam.certain_end().reshape(ending.shape), ending)
        better = xp.argwhere((ending > bars[:, None]).reshape(-1))[:, 0].tolist()
        if better:
            ends, end_scores = beam.scores_of_ends(), ending.reshape(-1).tolist()
            is_finished = finished.reshape(-1).tolist()
            for row in sorted(better, key=lambda row: -end_scores[row]):
                kept, score = running[row // width], end_scores[row]
                if score > kept.bar:
                    kept.add(beam.ending(row, is_finished[row], score, ends[row]))
            bars = xp.asarray([kept.bar for kept in running], dtype=xp.float64, device=device)
        reachable = top_scores + most_gains[(limits - step - 1).clip(0)][:, None]
        active = reachable > bars[:, None]
        going_on = xp.argwhere(active.any(1))[:, 0]
        if not len(going_on):
            break
        numbers = xp.arange(len(active), device=device)
        if len(going_on) <= (1 - _WORTH_DROPPING) * len(active):
            beam.keep(going_on)
            numbers, running = going_on, [running[number] for number in going_on.tolist()]
            limits, bars, active = limits[numbers], bars[numbers], active[numbers]
            top_places = top_places[numbers]
        rows = numbers[:, None] * width + top_places // characters
        beam.extend(rows.reshape(-1), (top_places % characters).reshape(-1))
    empty = Hypothesis([], [], np.zeros((0, 0), np.float32), finished=False)
    found = beam.hypotheses([kept.ranked() for kept in complete], frames)
    return [hypotheses or [empty] for hypotheses in found]
