"""Search: what the listener heard to character ids. Knows scores, not audio and not text.

Greedy: at every step the best character goes back into the speller, until the end mark. Or a beam
of several texts side by side, which speller and CTC head judge together.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search.ctc_prefix_scorer import PrefixScorer
from sorigeul.search.hypothesis import Hypothesis, length_limits

CTC_WEIGHT = 0.7
"""weight of CTC in a beam, beside the speller; better on dev of Pansori than 0.5 (docs/lab.md),
which Bang et al. 2020 took for KsponSpeech"""


@dataclass(frozen=True)
class _Beam:
    """Texts that a beam has written so far, and what was attended to."""

    tokens: Tensor
    """(N, U)"""
    probabilities: Tensor
    """(N, U)"""
    alignment: Tensor
    """(N, U, S)"""

    def then(self, rows: Tensor, tokens: Tensor, scores: Tensor, alignment: Tensor) -> "_Beam":
        """The texts `rows`, each with one more token (N,) of a log-probability and an alignment."""
        return _Beam(
            torch.cat((self.tokens[rows], tokens.unsqueeze(1)), dim=1),
            torch.cat((self.probabilities[rows], scores.exp().unsqueeze(1)), dim=1),
            torch.cat((self.alignment[rows], alignment[rows].float()), dim=1),
        )

    def hypothesis(self, row: int, frames: int, finished: bool) -> Hypothesis:
        """One of them, of an utterance with so many frames."""
        return Hypothesis(
            self.tokens[row].tolist(),
            self.probabilities[row].tolist(),
            self.alignment[row, :, :frames].cpu(),
            finished,
        )


@torch.no_grad()
def beam_search(
    model: ListenAttendSpell, encoded: ListenerOutput, width: int, ctc_weight: float = CTC_WEIGHT
) -> list[Hypothesis]:
    """The best text of `width` (K) that are written side by side, judged by speller and CTC head.

    Joint decoding (Hori, Watanabe and Hershey 2017, equation 15): the sum of the speller's
    log-probability and CTC's of the beginning, weighed ``1 - ctc_weight`` to ``ctc_weight``. Both
    only fall as a text grows, so an utterance is done when a text that has ended is better than all
    that go on. A model without a CTC head is searched by its speller alone.
    """
    config, limits = model.config, length_limits(model, encoded)
    batch, device = len(limits), limits.device
    utterance = torch.arange(batch, device=device).repeat_interleave(width)
    memory = model.make_memory(encoded).select(utterance)
    judge = _JointScorer(model, encoded, width, ctc_weight)
    tokens = torch.full((batch * width,), config.sos_id, device=device)
    nothing = torch.zeros(batch * width, 0, device=device)
    written = _Beam(
        nothing.long(), nothing, nothing.new_zeros(*nothing.shape, memory.values.shape[1])
    )
    # All texts of an utterance begin alike: only the first counts.
    alive = torch.arange(batch * width, device=device) % width == 0
    best: list[Hypothesis | None] = [None] * batch
    best_scores = torch.full((batch,), -torch.inf, dtype=torch.float64, device=device)
    state = None
    for step in range(int(limits.max()) + 1):
        logits, alignment, state = model.speller(tokens.unsqueeze(1), memory, state)
        scores = logits[:, -1].double()
        scores[:, [config.sos_id, config.pad_id]] = -torch.inf  # never characters
        each = scores.log_softmax(-1)
        onward = judge.onward(each)
        onward[~alive] = -torch.inf
        onward[:, config.sos_id :] = -torch.inf  # marks are no characters
        onward[(step >= limits)[utterance]] = -torch.inf
        going, place = onward.view(batch, -1).topk(width, dim=1)
        ended = judge.ended(each[:, config.eos_id]).masked_fill(~alive, -torch.inf)
        # What can neither go on nor end, and never could, ends here.
        stuck = (best_scores.isinf() & going[:, 0].isinf())[utterance] & ended.isinf() & alive
        ended = torch.where(stuck, judge.ended(torch.zeros_like(ended)), ended)
        scores, row = ended.view(batch, width).max(1)
        row += torch.arange(batch, device=device) * width
        for one in (scores > best_scores).nonzero().flatten().tolist():
            chosen, frames = int(row[one]), int(encoded.lengths[one])
            best[one] = written.hypothesis(chosen, frames, finished=not bool(stuck[chosen]))
        best_scores = torch.maximum(best_scores, scores)
        alive = (going > best_scores.unsqueeze(1)).flatten()
        if not alive.any():
            break
        place = place.flatten()
        rows, tokens = utterance * width + place // onward.shape[1], place % onward.shape[1]
        judge.choose(rows, tokens, each)
        written = written.then(rows, tokens, each[rows, tokens], alignment)
        state = state.select(rows)
    nowhere = torch.zeros(0, 0)
    return [one or Hypothesis([], [], nowhere, finished=False) for one in best]


class _JointScorer:
    """The scores of the texts in a beam: the speller's and, if there is one, the CTC head's."""

    def __init__(
        self, model: ListenAttendSpell, encoded: ListenerOutput, width: int, ctc_weight: float
    ) -> None:
        logits = model.ctc_logits(encoded)
        frames = encoded.frames
        self.spelled = frames.new_zeros(len(frames) * width, dtype=torch.float64)
        self.ctc: PrefixScorer | None = None
        self.weight = 0.0
        if logits is not None and ctc_weight > 0:
            lengths, blank = encoded.ctc_lengths, model.config.pad_id
            self.ctc, self.weight = PrefixScorer(logits, lengths, blank, width), ctc_weight
            self.prefixes = self.ctc.start()

    def onward(self, each: Tensor) -> Tensor:
        """The speller's scores of a next character -> those of the texts with it, both (N, V)."""
        scores = (1 - self.weight) * (self.spelled.unsqueeze(1) + each)
        return (
            scores
            if self.ctc is None
            else scores + self.weight * self.ctc.extensions(self.prefixes)
        )

    def ended(self, each: Tensor) -> Tensor:
        """The speller's scores of the end mark -> those of the texts if they end, both (N,)."""
        scores = (1 - self.weight) * (self.spelled + each)
        return scores if self.ctc is None else scores + self.weight * self.ctc.whole(self.prefixes)

    def choose(self, rows: Tensor, tokens: Tensor, each: Tensor) -> None:
        """Go on with the texts `rows` (N,), each followed by one of `tokens` (N,)."""
        self.spelled = self.spelled[rows] + each[rows, tokens]
        if self.ctc is not None:
            self.prefixes = self.ctc.extend(self.prefixes, rows, tokens)
