"""Rescoring: a second recogniser judges the n-best texts, and may have other characters.

B utterances, N samples, M texts of all utterances, U characters, S listener frames, V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from sorigeul.model.las import ListenAttendSpell, ListenerOutput
from sorigeul.search.hypothesis import Hypothesis
from sorigeul.sound.features import Features
from sorigeul.text.vocabulary import Vocabulary

_LEAST = -1e4  # for a text that cannot be: finite, so that it can be written as JSON


@dataclass(frozen=True)
class Rescorer:
    """A recogniser that judges whole texts."""

    model: ListenAttendSpell
    log_mel: Features
    vocabulary: Vocabulary
    ctc_weight: float
    """of its CTC head; its speller has the rest. Nothing without a CTC head"""

    @torch.no_grad()
    def __call__(
        self,
        waveforms: Tensor,
        lengths: Tensor,
        ranked: Sequence[Sequence[Hypothesis]],
        vocabulary: Vocabulary,
        weight: float,
    ) -> list[list[Hypothesis]]:
        """Waveforms (B, N), lengths (B,), n-best of each -> the same, ranked anew.

        `weight` times the log-probability of a text is added to its score. `vocabulary` is that of
        the hypotheses.
        """
        texts = [[vocabulary.decode(one.tokens) for one in several] for several in ranked]
        scores = iter(self.log_probabilities(waveforms, lengths, texts).tolist())
        return [
            sorted(
                (
                    replace(
                        one,
                        score=one.score + weight * score,
                        scores={**one.scores, "rescorer": score},
                    )
                    for one, score in zip(several, islice(scores, len(several)), strict=True)
                ),
                key=lambda one: -one.score,
            )
            for several in ranked
        ]

    def log_probabilities(
        self, waveforms: Tensor, lengths: Tensor, texts: Sequence[Sequence[str]]
    ) -> Tensor:
        """Log-probabilities of the texts of each utterance, one after another (M,), in float64.

        A character that the model does not have is left out, at the price of a blind guess among
        those that it has.
        """
        output = self.model.listen(*self.log_mel(waveforms, lengths))
        counts = torch.tensor([len(several) for several in texts], device=lengths.device)
        rows = torch.arange(len(texts), device=lengths.device).repeat_interleave(counts)
        judged = [self._encode(text) for several in texts for text in several]
        known = [ids for ids, _ in judged]
        guesses = torch.tensor([unknown for _, unknown in judged], device=lengths.device)
        scores = self._known(_select(output, rows), known) - guesses * math.log(
            len(self.vocabulary)
        )
        return scores.clamp_min(_LEAST)

    def _encode(self, text: str) -> tuple[Tensor, int]:
        """The ids of the characters that the model has, and how many it does not have."""
        ids = self.vocabulary.encode_all(text)
        known = [token for token in ids if token != self.vocabulary.pad_id]
        return torch.tensor(known, dtype=torch.long), len(ids) - len(known)

    def _known(self, output: ListenerOutput, texts: Sequence[Tensor]) -> Tensor:
        """Log-probabilities (M,) of texts for the frames of each."""
        config, device = self.model.config, output.frames.device
        tokens = pad_sequence(list(texts), True, config.pad_id).to(device)
        lengths = torch.tensor([len(text) for text in texts], device=device)
        forced = self.model.spell(output, tokens)
        logits = forced.logits.double()
        logits[..., [config.sos_id, config.pad_id]] = -torch.inf
        targets = functional.pad(tokens, (0, 1), value=config.pad_id)
        targets.scatter_(1, lengths.unsqueeze(1), config.eos_id)
        steps = logits.log_softmax(-1).gather(2, targets.unsqueeze(2)).squeeze(2)
        speller = steps.masked_fill(targets == config.pad_id, 0.0).sum(1)
        if forced.ctc_logits is None:
            return speller
        frames = forced.ctc_logits.double().log_softmax(-1).transpose(0, 1)
        ctc = -functional.ctc_loss(
            frames, tokens, forced.ctc_lengths, lengths, config.pad_id, reduction="none"
        )
        return (1 - self.ctc_weight) * speller + self.ctc_weight * ctc


def _select(output: ListenerOutput, rows: Tensor) -> ListenerOutput:
    """The frames of the utterances in `rows` (M,)."""
    frames, lengths = output.frames[rows], output.lengths[rows]
    ctc_frames, ctc_lengths = output.ctc_frames[rows], output.ctc_lengths[rows]
    # The lowest stack is for training only.
    return ListenerOutput(frames, lengths, ctc_frames, ctc_lengths, frames, lengths)
