"""Beam search over the sum of several scorers, for a batch of utterances.

B utterances, K hypotheses each (the beam width), N = B K hypotheses with an utterance's in
successive rows, U characters, S listener frames, V vocabulary. Does not know about audio or text.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from sorigeul.base.arrays import Array, inference, largest, namespace, to_numpy
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.search.scorers import RepetitionGuard, Scorer, SpellerScorer


@dataclass(frozen=True)
class SpecialTokens:
    """Ids that end a text or are never part of one."""

    sos_id: int
    eos_id: int
    pad_id: int


@dataclass
class _Complete:
    """The best complete hypotheses of one utterance, `nbest` at most."""

    nbest: int
    heap: list[tuple[float, int, Hypothesis]] = field(default_factory=list)
    """the worst first; the number tells hypotheses of equal scores apart, the older one is kept"""

    @property
    def bar(self) -> float:
        """The score that a further hypothesis must exceed."""
        return self.heap[0][0] if len(self.heap) == self.nbest else -inf

    def add(self, hypothesis: Hypothesis) -> None:
        entry = (hypothesis.score, -len(self.heap), hypothesis)
        if len(self.heap) < self.nbest:
            heapq.heappush(self.heap, entry)
        else:
            heapq.heapreplace(self.heap, entry)

    def ranked(self) -> list[Hypothesis]:
        return [hypothesis for _, _, hypothesis in sorted(self.heap, reverse=True)]


class _Beam:
    """The unfinished hypotheses of all utterances, and what each scorer gives them so far."""

    def __init__(
        self, speller: SpellerScorer, others: Sequence[Scorer], special: SpecialTokens
    ) -> None:
        self.speller, self.scorers = speller, (speller, *others)
        self.special = special
        hypotheses, device = len(speller.attention), speller.attention.device
        xp = namespace(speller.attention)
        self.tokens = xp.zeros((hypotheses, 0), dtype=xp.int64, device=device)
        self.totals = {
            scorer.name: xp.zeros(hypotheses, dtype=xp.float64, device=device)
            for scorer in self.scorers
        }
        """sum of each scorer's scores, without its weight (N,)"""

    def score(self) -> Array:
        """The score of each hypothesis with each next character (N, V)."""
        self._steps = {scorer.name: scorer.score() for scorer in self.scorers}
        steps = self._steps[self.speller.name]
        sums = namespace(steps).zeros_like(steps)
        for scorer in self.scorers:
            if scorer.weight != 0:
                total = self.totals[scorer.name][:, None]
                sums += scorer.weight * (total + self._steps[scorer.name])
        sums[:, [self.special.sos_id, self.special.pad_id]] = -inf
        return sums

    def certain_end(self) -> Array:
        """The scores (N,) of hypotheses that end here, forbidden or not."""
        xp = namespace(self.tokens)
        sums = xp.zeros_like(self.totals[self.speller.name])
        for scorer in self.scorers:
            step = self._steps[scorer.name][:, self.special.eos_id]
            step = xp.where(xp.isinf(step), 0.0, step)
            sums += scorer.weight * (self.totals[scorer.name] + step)
        return sums

    def most_gain(self, characters: Array) -> Array:
        """The most that so many further characters (B,) can add to a score."""
        gains = [scorer.weight * scorer.most_gain(characters) for scorer in self.scorers]
        return namespace(characters).stack(gains).clip(0).sum(0)

    def select(self, rows: Array, tokens: Array) -> None:
        """Go on with the hypotheses in `rows` (N,), each extended by one of `tokens` (N,)."""
        for scorer in self.scorers:
            step = self._steps[scorer.name][rows, tokens]
            self.totals[scorer.name] = self.totals[scorer.name][rows] + step
            scorer.select(rows, tokens)
        self.tokens = namespace(tokens).concat((self.tokens[rows], tokens[:, None]), axis=1)

    def hypothesis(self, row: int, frames: int, score: float, finished: bool) -> Hypothesis:
        """The hypothesis in a row, which ends here, of an utterance with so many valid frames."""
        eos_id = self.special.eos_id
        return Hypothesis(
            tokens=self.tokens[row].tolist(),
            probabilities=self.speller.probabilities[row].tolist(),
            # A copy, so that the batch can be freed.
            alignment=to_numpy(self.speller.alignment[row, :, :frames]).copy(),
            finished=finished,
            score=score,
            scores={
                scorer.name: float(
                    self.totals[scorer.name][row] + self._steps[scorer.name][row, eos_id]
                )
                for scorer in self.scorers
            },
            repetitive=any(
                bool(scorer.repetitive[row])
                for scorer in self.scorers
                if isinstance(scorer, RepetitionGuard)
            ),
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
    xp, batch, device = namespace(limits), len(limits), limits.device
    hypotheses = len(speller.attention)
    width = hypotheses // batch
    utterance = xp.arange(hypotheses, device=device) // width
    # All hypotheses of an utterance start out the same: only the first counts.
    active = xp.arange(hypotheses, device=device) % width == 0
    complete = [_Complete(nbest) for _ in range(batch)]
    bars = xp.full((batch,), -inf, dtype=xp.float64, device=device)
    for step in range(int(limits.max()) + 1):
        scores = beam.score()
        ending = xp.where(active, scores[:, special.eos_id], -inf)
        scores[~active] = -inf
        scores[:, special.eos_id] = -inf
        scores[(step >= limits)[utterance]] = -inf
        top_scores, top_places = largest(scores.reshape(batch, -1), width)
        # If an utterance has no complete hypothesis yet, and its hypotheses can be neither extended
        # nor completed, they end here, as if nothing forbade it.
        none_yet = xp.asarray([not kept.heap for kept in complete], device=device)
        stuck = none_yet & xp.isinf(top_scores[:, 0])
        cut_off = stuck[utterance] & xp.isinf(ending) & active
        if cut_off.any():
            ending = xp.where(cut_off, beam.certain_end(), ending)
        better = xp.argwhere(ending > bars[utterance])[:, 0].tolist()
        for row in sorted(better, key=lambda row: -float(ending[row])):
            index, score = row // width, float(ending[row])
            if score > complete[index].bar:
                finished = not bool(cut_off[row])
                complete[index].add(beam.hypothesis(row, frames[index], score, finished))
        bars = xp.asarray([kept.bar for kept in complete], dtype=xp.float64, device=device)
        reachable = top_scores + beam.most_gain((limits - step - 1).clip(0))[:, None]
        active = ((reachable > bars[:, None]) & ~xp.isinf(top_scores)).reshape(-1)
        if not active.any():
            break
        flat = top_places.reshape(-1)
        beam.select(utterance * width + flat // scores.shape[1], flat % scores.shape[1])
    empty = Hypothesis([], [], np.zeros((0, 0), np.float32), finished=False)
    return [kept.ranked() or [empty] for kept in complete]
