"""Listen, Attend and Spell: the whole model.

Chan, Jaitly, Le and Vinyals, "Listen, Attend and Spell", ICASSP 2016, in the form that the seed
document of March 2020 prints. With `ctc_weight` it also has a CTC head on the listener (Kim, Hori
and Watanabe, "Joint CTC-attention based end-to-end speech recognition", ICASSP 2017).
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigeul.model.config import LASConfig
from sorigeul.model.conformer import ConformerListener
from sorigeul.model.jamo_ctc import JamoCtc
from sorigeul.model.jamo_embedding import share_jamo
from sorigeul.model.listener import Listener
from sorigeul.model.memory import Memory
from sorigeul.model.pretrained_listener import PretrainedListener
from sorigeul.model.speller import Speller


@dataclass(frozen=True)
class ListenerOutput:
    """Frames of the listener, for the speller and for CTC."""

    frames: Tensor
    """frames that the speller attends to (B, S, D)"""
    lengths: Tensor
    """number of valid frames (B,)"""
    ctc_frames: Tensor
    """frames that the CTC head reads (B, S', D); S' >= S"""
    ctc_lengths: Tensor
    """number of valid CTC frames (B,)"""
    lowest_frames: Tensor
    """frames of the lowest stack, which shortens time least (B, S'', D)"""
    lowest_lengths: Tensor
    """number of valid frames of the lowest stack (B,)"""


class LASOutput(NamedTuple):
    """Scores of a teacher-forced or free-running pass."""

    logits: Tensor
    """scores of each next character, the last one for the end mark (B, U + 1, V)"""
    alignments: Tensor
    """attention (B, U + 1, S), each row of which sums to 1"""
    ctc_logits: Tensor | None
    """scores of the CTC head (B, S', V)"""
    ctc_lengths: Tensor
    """number of valid CTC frames (B,)"""
    jamo_loss: Tensor | None = None
    """sum of the jamo CTC losses of the batch, in training with `jamo_ctc_weight` only"""


def make_listener(config: LASConfig) -> Listener | ConformerListener | PretrainedListener:
    """The listener that a configuration describes."""
    if config.is_pretrained:
        return PretrainedListener(config)
    return ConformerListener(config) if config.listener == "conformer" else Listener(config)


class ListenAttendSpell(nn.Module):
    """The model. Tokens are character ids without specials, padded with ``config.pad_id``.

    Parameters
    ----------
    jamo_ids : ids (V, 3) of each unit's jamo, for training with `share_letters` or
        `jamo_ctc_weight`; for the latter also (V, 3 C), as `JamoCtc` has it. Leave it out to load a
        published model, whose matrices are already summed, and which has no jamo CTC head
    unseen_units : how many units, the last ones before the specials, are in no transcript; with
        `share_letters` only, see `share_jamo`
    """

    def __init__(
        self, config: LASConfig, jamo_ids: Tensor | None = None, unseen_units: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        self.listener = make_listener(config)
        self.speller = Speller(config)
        if config.ctc_weight > 0:
            self.ctc = nn.Linear(config.width, config.vocabulary_size)
        if config.share_letters and jamo_ids is not None:
            share_jamo(self.speller.embedding, jamo_ids, unseen_units)
            share_jamo(self.speller.out, jamo_ids, unseen_units)
            if config.ctc_weight > 0:
                share_jamo(self.ctc, jamo_ids, unseen_units)
        self.jamo_ctc: JamoCtc | None = None
        if config.jamo_ctc_weight > 0 and jamo_ids is not None:
            self.jamo_ctc = JamoCtc(jamo_ids, config.width)

    def listen(self, features: Tensor, lengths: Tensor) -> ListenerOutput:
        """Features (B, T, F), lengths (B,) -> the listener's frames."""
        stack_outputs = self.listener(features, lengths)
        ctc_stack = int(math.log2(self.config.ctc_reduction // self.config.lowest_reduction))
        return ListenerOutput(*stack_outputs[-1], *stack_outputs[ctc_stack], *stack_outputs[0])

    def make_memory(self, encoded: ListenerOutput) -> Memory:
        """The memory that the speller attends to in every step."""
        return self.speller.make_memory(encoded.frames, encoded.lengths)

    def ctc_logits(self, encoded: ListenerOutput) -> Tensor | None:
        """Scores of the CTC head (B, S', V); None if the model has no CTC head."""
        return self.ctc(encoded.ctc_frames) if self.config.ctc_weight > 0 else None

    def forward(
        self,
        features: Tensor,
        lengths: Tensor,
        tokens: Tensor,
        teacher_forcing: bool = True,
        scheduled_sampling: float = 0.0,
    ) -> LASOutput:
        """Features (B, T, F), lengths (B,), tokens (B, U) -> the scores of every position.

        With teacher forcing the speller reads `tokens`, of which `scheduled_sampling` (0 to 1) is
        the share replaced by its own best characters, drawn for each character. Without teacher
        forcing it reads only its own best characters.
        """
        encoded = self.listen(features, lengths)
        return self.spell(encoded, tokens, teacher_forcing, scheduled_sampling)

    def spell(
        self,
        encoded: ListenerOutput,
        tokens: Tensor,
        teacher_forcing: bool = True,
        scheduled_sampling: float = 0.0,
    ) -> LASOutput:
        """As `forward`, from the output of the listener."""
        memory = self.make_memory(encoded)
        inputs = functional.pad(tokens, (1, 0), value=self.config.sos_id)
        if teacher_forcing:
            if scheduled_sampling > 0:
                inputs = self._sample_inputs(inputs, memory, scheduled_sampling)
            logits, alignments, _ = self.speller(inputs, memory)
        else:
            logits, alignments = self.speller.free_run(inputs[:, 0], inputs.shape[1], memory)
        jamo_loss = None
        if self.jamo_ctc is not None and self.training:
            frames, lengths = encoded.lowest_frames, encoded.lowest_lengths
            jamo_loss = self.jamo_ctc(frames, lengths, tokens, self.config.pad_id)
        ctc_logits = self.ctc_logits(encoded)
        return LASOutput(logits, alignments, ctc_logits, encoded.ctc_lengths, jamo_loss)

    @torch.no_grad()
    def _sample_inputs(self, inputs: Tensor, memory: Memory, probability: float) -> Tensor:
        """The speller's inputs (B, U + 1), each replaced by its best guess with `probability`.

        Scheduled sampling (Bengio et al. 2015) in two passes (Mihaylova and Martins 2019): the
        guesses come from a pass over the true text, so that the second pass can still read all
        characters of a sentence at once.
        """
        logits, _, _ = self.speller(inputs, memory)
        logits[..., self.config.sos_id :] = -torch.inf  # specials are never guessed
        guesses = functional.pad(logits[:, :-1].argmax(-1), (1, 0), value=self.config.sos_id)
        drawn = torch.rand(inputs.shape).to(inputs.device) < probability
        return torch.where(drawn & (inputs != self.config.pad_id), guesses, inputs)
