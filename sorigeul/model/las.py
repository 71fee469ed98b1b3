"""Listen, Attend and Spell: the whole model.

Chan, Jaitly, Le and Vinyals, "Listen, Attend and Spell", ICASSP 2016, in the form the seed document
of March 2020 prints, with a CTC head beside the speller where asked for (Kim, Hori and Watanabe,
"Joint CTC-attention based end-to-end speech recognition", ICASSP 2017).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigeul.model.attention import Memory
from sorigeul.model.config import CONV_REDUCTION, LASConfig
from sorigeul.model.jamo_embedding import share_letters
from sorigeul.model.listener import Listener
from sorigeul.model.speller import Speller


@dataclass(frozen=True)
class ListenerOutput:
    """What the listener gives."""

    frames: Tensor
    """what the speller attends to (B, S, D)"""
    lengths: Tensor
    """valid frames (B,)"""
    ctc_frames: Tensor
    """what CTC reads (B, S', D); S' is S or longer"""
    ctc_lengths: Tensor
    """valid frames (B,)"""


class LASOutput(NamedTuple):
    """What a teacher-forced or free-running pass gives."""

    logits: Tensor
    """scores of each next character and of the end (B, U + 1, V)"""
    alignments: Tensor
    """attention (B, U + 1, S), each row of which sums to 1"""
    ctc_logits: Tensor | None
    """scores of the CTC head (B, S', V)"""
    ctc_lengths: Tensor
    """valid CTC frames (B,)"""


class ListenAttendSpell(nn.Module):
    """The model. Tokens are character ids without specials, padded with ``config.pad_id``.

    Parameters
    ----------
    letters : ids (V, 3) of each unit's letters, which training needs where they are shared; a
        trained model does not, since their sums have been taken
    """

    def __init__(self, config: LASConfig, letters: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.listener = Listener(config)
        self.speller = Speller(config)
        if config.ctc_weight > 0:
            self.ctc = nn.Linear(config.width, config.vocabulary_size)
        if config.share_letters and letters is not None:
            share_letters(self.speller.embedding, letters)
            share_letters(self.speller.out, letters)
            if config.ctc_weight > 0:
                share_letters(self.ctc, letters)

    def listen(self, features: Tensor, lengths: Tensor) -> ListenerOutput:
        """Features (B, T, F), lengths (B,) -> what the listener heard."""
        outputs = self.listener(features, lengths)
        levels = int(math.log2(self.config.ctc_reduction // CONV_REDUCTION))
        return ListenerOutput(*outputs[-1], *outputs[levels])

    def make_memory(self, encoded: ListenerOutput) -> Memory:
        """The memory the speller attends to at every step."""
        return self.speller.make_memory(encoded.frames, encoded.lengths)

    def ctc_logits(self, encoded: ListenerOutput) -> Tensor | None:
        """Scores of the CTC head (B, S', V), if there is one."""
        return self.ctc(encoded.ctc_frames) if self.config.ctc_weight > 0 else None

    def forward(
        self,
        features: Tensor,
        lengths: Tensor,
        tokens: Tensor,
        teacher_forcing: bool = True,
        sampling: float = 0.0,
    ) -> LASOutput:
        """Features (B, T, F), lengths (B,), tokens (B, U) -> the scores of every position.

        Without teacher forcing the speller reads its own best character instead of `tokens`; with
        it, in the place of so many of the `tokens` (0 to 1, each drawn for itself).
        """
        return self.spell(self.listen(features, lengths), tokens, teacher_forcing, sampling)

    def spell(
        self,
        encoded: ListenerOutput,
        tokens: Tensor,
        teacher_forcing: bool = True,
        sampling: float = 0.0,
    ) -> LASOutput:
        """As `forward`, of what the listener heard."""
        memory = self.make_memory(encoded)
        inputs = functional.pad(tokens, (1, 0), value=self.config.sos_id)
        if teacher_forcing:
            if sampling > 0:
                inputs = self._sampled(inputs, memory, sampling)
            logits, alignments, _ = self.speller(inputs, memory)
        else:
            logits, alignments = self.speller.free_run(inputs[:, 0], inputs.shape[1], memory)
        return LASOutput(logits, alignments, self.ctc_logits(encoded), encoded.ctc_lengths)

    @torch.no_grad()
    def _sampled(self, inputs: Tensor, memory: Memory, share: float) -> Tensor:
        """What the speller reads (B, U + 1), a `share` of it replaced by its own best guesses.

        Scheduled sampling (Bengio et al. 2015) in two passes (Mihaylova and Martins 2019), so that
        a sentence is still read at once: the guesses are those of a pass over the true text.
        """
        logits, _, _ = self.speller(inputs, memory)
        logits[..., self.config.sos_id :] = -torch.inf  # marks are no characters
        guesses = functional.pad(logits[:, :-1].argmax(-1), (1, 0), value=self.config.sos_id)
        drawn = torch.rand(inputs.shape).to(inputs.device) < share
        return torch.where(drawn & (inputs != self.config.pad_id), guesses, inputs)
