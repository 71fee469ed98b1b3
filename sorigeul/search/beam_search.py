"""Beam search over the sum of several scorers, for a batch of utterances.

B utterances, K hypotheses each (the beam width), N = B K hypotheses with an utterance's in
successive rows, U characters, S listener frames, V vocabulary. Does not know about audio or text.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

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
        return self.heap[0][0] if len(self.heap) == self.nbest else -torch.inf

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
        self.tokens = torch.zeros(hypotheses, 0, dtype=torch.long, device=device)
        self.totals = {
            scorer.name: torch.zeros(hypotheses, dtype=torch.float64, device=device)
            for scorer in self.scorers
        }
        """sum of each scorer's scores, without its weight (N,)"""

    def score(self) -> Tensor:
        """The score of each hypothesis with each next character (N, V)."""
        self._steps = {scorer.name: scorer.score() for scorer in self.scorers}
        sums = torch.zeros_like(self._steps[self.speller.name])
        for scorer in self.scorers:
            if scorer.weight != 0:
                total = self.totals[scorer.name].unsqueeze(1)
                sums += scorer.weight * (total + self._steps[scorer.name])
        sums[:, [self.special.sos_id, self.special.pad_id]] = -torch.inf
        return sums

    def certain_end(self) -> Tensor:
        """The scores (N,) of hypotheses that end here, forbidden or not."""
        sums = torch.zeros_like(self.totals[self.speller.name])
        for scorer in self.scorers:
            step = self._steps[scorer.name][:, self.special.eos_id]
            step = torch.where(step.isinf(), 0.0, step)
            sums += scorer.weight * (self.totals[scorer.name] + step)
        return sums

    def most_gain(self, characters: Tensor) -> Tensor:
        """The most that so many further characters (B,) can add to a score."""
        gains = [scorer.weight * scorer.most_gain(characters) for scorer in self.scorers]
        return torch.stack(gains).clamp_min(0).sum(0)

    def select(self, rows: Tensor, tokens: Tensor) -> None:
        """Go on with the hypotheses in `rows` (N,), each extended by one of `tokens` (N,)."""
        for scorer in self.scorers:
            step = self._steps[scorer.name][rows, tokens]
            self.totals[scorer.name] = self.totals[scorer.name][rows] + step
            scorer.select(rows, tokens)
        self.tokens = torch.cat((self.tokens[rows], tokens.unsqueeze(1)), dim=1)

    def hypothesis(self, row: int, frames: int, score: float, finished: bool) -> Hypothesis:
        """The hypothesis in a row, which ends here, of an utterance with so many valid frames."""
        eos_id = self.special.eos_id
        return Hypothesis(
            tokens=self.tokens[row].tolist(),
            probabilities=self.speller.probabilities[row].tolist(),
            # A copy, so that the batch can be freed.
            alignment=self.speller.alignment[row, :, :frames].cpu().clone(),
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


@torch.no_grad()
def beam_search(
    speller: SpellerScorer,
    others: Sequence[Scorer],
    special: SpecialTokens,
    limits: Tensor,
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
    batch, device = len(limits), limits.device
    hypotheses = len(speller.attention)
    width = hypotheses // batch
    utterance = torch.arange(batch, device=device).repeat_interleave(width)
    # All hypotheses of an utterance start out the same: only the first counts.
    active = torch.arange(hypotheses, device=device) % width == 0
    complete = [_Complete(nbest) for _ in range(batch)]
    bars = torch.full((batch,), -torch.inf, dtype=torch.float64, device=device)
    for step in range(int(limits.max()) + 1):
        scores = beam.score()
        ending = scores[:, special.eos_id].masked_fill(~active, -torch.inf)
        scores[~active] = -torch.inf
        scores[:, special.eos_id] = -torch.inf
        scores[(step >= limits)[utterance]] = -torch.inf
        top_scores, top_places = scores.view(batch, -1).topk(width, dim=1)
        # If an utterance has no complete hypothesis yet, and its hypotheses can be neither extended
        # nor completed, they end here, as if nothing forbade it.
        none_yet = torch.tensor([not kept.heap for kept in complete], device=device)
        cut_off = (none_yet & top_scores[:, 0].isinf())[utterance] & ending.isinf() & active
        if cut_off.any():
            ending = torch.where(cut_off, beam.certain_end(), ending)
        better = (ending > bars[utterance]).nonzero().flatten().tolist()
        for row in sorted(better, key=lambda row: -float(ending[row])):
            index, score = row // width, float(ending[row])
            if score > complete[index].bar:
                finished = not bool(cut_off[row])
                complete[index].add(beam.hypothesis(row, frames[index], score, finished))
        bars = torch.tensor([kept.bar for kept in complete], dtype=torch.float64, device=device)
        reachable = top_scores + beam.most_gain((limits - step - 1).clamp_min(0)).unsqueeze(1)
        active = ((reachable > bars.unsqueeze(1)) & ~top_scores.isinf()).flatten()
        if not active.any():
            break
        flat = top_places.flatten()
        beam.select(utterance * width + flat // scores.shape[1], flat % scores.shape[1])
    empty = Hypothesis([], [], torch.zeros(0, 0), finished=False)
    return [kept.ranked() or [empty] for kept in complete]
