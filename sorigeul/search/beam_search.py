"""Beam search over the joint score of the speller and the CTC head, for a batch of utterances.

B utterances, K hypotheses each (the beam width), N = B K hypotheses with an utterance's in
successive rows, U characters, S listener frames, V vocabulary. Does not know about audio or text.
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
    """The unfinished hypotheses of all utterances."""

    tokens: Tensor
    """(N, U)"""
    probabilities: Tensor
    """the speller's probability of each token (N, U)"""
    alignment: Tensor
    """attention (N, U, S)"""

    @classmethod
    def empty(cls, hypotheses: int, frames: int, device: torch.device) -> "_Beam":
        probabilities = torch.zeros(hypotheses, 0, device=device)
        alignment = probabilities.new_zeros(hypotheses, 0, frames)
        return cls(probabilities.long(), probabilities, alignment)

    def extend(self, rows: Tensor, tokens: Tensor, scores: Tensor, alignment: Tensor) -> "_Beam":
        """The hypotheses in `rows` (N,), each extended by a token.

        `tokens` (N,) have the log-probabilities `scores` (N,). The step's attention `alignment`
        (N, 1, S) is that of the hypotheses before the selection by `rows`.
        """
        return _Beam(
            torch.cat((self.tokens[rows], tokens.unsqueeze(1)), dim=1),
            torch.cat((self.probabilities[rows], scores.exp().unsqueeze(1)), dim=1),
            torch.cat((self.alignment[rows], alignment[rows].float()), dim=1),
        )

    def hypothesis(self, row: int, frames: int, finished: bool) -> Hypothesis:
        """The hypothesis in a row, of an utterance with so many valid listener frames."""
        return Hypothesis(
            self.tokens[row].tolist(),
            self.probabilities[row].tolist(),
            self.alignment[row, :, :frames].cpu().clone(),  # so that the batch can be freed
            finished,
        )


@torch.no_grad()
def beam_search(
    model: ListenAttendSpell, encoded: ListenerOutput, width: int, ctc_weight: float = CTC_WEIGHT
) -> list[Hypothesis]:
    """The best hypothesis of each utterance in a beam of `width` hypotheses (K).

    Joint decoding (Hori, Watanabe and Hershey 2017, equation 15): the score of a hypothesis is
    ``1 - ctc_weight`` times the speller's log-probability plus ``ctc_weight`` times the CTC prefix
    score. Both only fall as a hypothesis grows, so an utterance is done as soon as a complete
    hypothesis scores higher than all incomplete ones. Only the best hypothesis is returned, no
    n-best list. A model without a CTC head is searched by the speller alone.
    """
    config, limits = model.config, length_limits(model, encoded)
    batch, device = len(limits), limits.device
    utterance = torch.arange(batch, device=device).repeat_interleave(width)
    memory = model.make_memory(encoded).select(utterance)
    scorer = _JointScorer(model, encoded, width, ctc_weight)
    tokens = torch.full((batch * width,), config.sos_id, device=device)
    beam = _Beam.empty(batch * width, memory.values.shape[1], device)
    # All hypotheses of an utterance start out the same: only the first counts.
    active = torch.arange(batch * width, device=device) % width == 0
    best: list[Hypothesis | None] = [None] * batch
    best_scores = torch.full((batch,), -torch.inf, dtype=torch.float64, device=device)
    state = None
    for step in range(int(limits.max()) + 1):
        logits, alignment, state = model.speller(tokens.unsqueeze(1), memory, state)
        logits = logits[:, -1].double()
        logits[:, [config.sos_id, config.pad_id]] = -torch.inf  # never characters
        token_scores = logits.log_softmax(-1)
        extended = scorer.extension_scores(token_scores)
        extended[~active] = -torch.inf
        extended[:, config.sos_id :] = -torch.inf  # special tokens are not characters
        extended[(step >= limits)[utterance]] = -torch.inf
        top_scores, top_places = extended.view(batch, -1).topk(width, dim=1)
        complete = scorer.complete_scores(token_scores[:, config.eos_id])
        complete = complete.masked_fill(~active, -torch.inf)
        # If an utterance has no complete hypothesis yet, and its hypotheses can be neither extended
        # nor completed, they end here, as if the end of sentence were certain.
        cut_off = (best_scores.isinf() & top_scores[:, 0].isinf())[utterance]
        cut_off = cut_off & complete.isinf() & active
        certain = scorer.complete_scores(torch.zeros_like(complete))
        complete = torch.where(cut_off, certain, complete)
        complete_scores, complete_rows = complete.view(batch, width).max(1)
        complete_rows += torch.arange(batch, device=device) * width
        for index in (complete_scores > best_scores).nonzero().flatten().tolist():
            row, frames = int(complete_rows[index]), int(encoded.lengths[index])
            best[index] = beam.hypothesis(row, frames, finished=not bool(cut_off[row]))
        best_scores = torch.maximum(best_scores, complete_scores)
        active = (top_scores > best_scores.unsqueeze(1)).flatten()
        if not active.any():
            break
        top_places = top_places.flatten()
        rows = utterance * width + top_places // extended.shape[1]
        tokens = top_places % extended.shape[1]
        scorer.extend(rows, tokens, token_scores)
        beam = beam.extend(rows, tokens, token_scores[rows, tokens], alignment)
        state = state.select(rows)
    empty = Hypothesis([], [], torch.zeros(0, 0), finished=False)
    return [hypothesis or empty for hypothesis in best]


class _JointScorer:
    """Joint scores of the hypotheses in a beam: the speller's and, if there is one, CTC's."""

    def __init__(
        self, model: ListenAttendSpell, encoded: ListenerOutput, width: int, ctc_weight: float
    ) -> None:
        logits = model.ctc_logits(encoded)
        frames = encoded.frames
        self.speller_scores = frames.new_zeros(len(frames) * width, dtype=torch.float64)
        self.ctc: PrefixScorer | None = None
        self.weight = 0.0
        if logits is not None and ctc_weight > 0:
            lengths, blank = encoded.ctc_lengths, model.config.pad_id
            self.ctc, self.weight = PrefixScorer(logits, lengths, blank, width), ctc_weight
            self.prefixes = self.ctc.empty_prefixes()

    def extension_scores(self, token_scores: Tensor) -> Tensor:
        """Joint scores of the hypotheses extended by each token (N, V).

        `token_scores` (N, V) are the speller's log-probabilities of the next token.
        """
        scores = (1 - self.weight) * (self.speller_scores.unsqueeze(1) + token_scores)
        if self.ctc is None:
            return scores
        return scores + self.weight * self.ctc.extension_scores(self.prefixes)

    def complete_scores(self, end_scores: Tensor) -> Tensor:
        """Joint scores of the hypotheses if they end here (N,).

        `end_scores` (N,) are the speller's log-probabilities of the end of sentence.
        """
        scores = (1 - self.weight) * (self.speller_scores + end_scores)
        if self.ctc is None:
            return scores
        return scores + self.weight * self.ctc.complete_scores(self.prefixes)

    def extend(self, rows: Tensor, tokens: Tensor, token_scores: Tensor) -> None:
        """Replace the hypotheses by those in `rows` (N,), each extended by one of `tokens` (N,)."""
        self.speller_scores = self.speller_scores[rows] + token_scores[rows, tokens]
        if self.ctc is not None:
            self.prefixes = self.ctc.extend(self.prefixes, rows, tokens)
