"""Losses: the speller's cross entropy, CTC, and guided attention."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sorigeul.model.config import CTC_REDUCTION, LASConfig
from sorigeul.model.ctc_alignment import ctc_spans
from sorigeul.model.las import LASOutput

GUIDE_WIDTH = 2.0
"""standard deviation, in CTC frames, of the Gaussian around the position of a character in which
its attention is not penalised much"""

GUIDE_LOSS = 2.5
"""CTC loss per character (nats) below which the guide takes effect. CTC learns the position of a
character before its identity: at this loss its best path is good, although the probability of the
text is still low. Guiding the attention much earlier seemed to hold CTC itself back (docs/lab.md).
"""


@dataclass(frozen=True)
class Losses:
    """Losses of a batch, each a scalar mean over its characters."""

    total: Tensor
    speller: Tensor
    ctc: Tensor
    """zero without a CTC head"""
    guide: Tensor
    """guided attention; zero without `guide_weight`"""
    jamo: Tensor
    """CTC of the jamo; zero without `jamo_ctc_weight`"""


def joint_losses(
    config: LASConfig,
    output: LASOutput,
    tokens: Tensor,
    token_lengths: Tensor,
    label_smoothing: float = 0.0,
    total_characters: int | None = None,
) -> Losses:
    """Joint loss ``(1 - w) speller + w CTC`` (Kim et al. 2017, equation 9) of tokens (B, U).

    To this it adds the guided attention times `guide_weight`, and the CTC loss of the jamo times
    `jamo_ctc_weight`. Each loss is a mean over the
    characters of the batch, end marks included. If the losses of several batches are to be added to
    those of one large batch, `total_characters` is the number of characters in all of them. An
    utterance with fewer frames than CTC needs for its text adds nothing to CTC and guide losses.
    """
    count = (token_lengths + 1).sum() if total_characters is None else total_characters
    speller = functional.cross_entropy(
        output.logits.float().transpose(1, 2),
        speller_targets(config, tokens, token_lengths),
        ignore_index=config.pad_id,
        label_smoothing=label_smoothing,
        reduction="sum",
    )
    speller = speller / count
    zero = torch.zeros_like(speller)
    jamo = zero if output.jamo_loss is None else output.jamo_loss / count
    if output.ctc_logits is None:
        return Losses(speller + config.jamo_ctc_weight * jamo, speller, zero, zero, jamo)
    ctc_by_utterance = functional.ctc_loss(
        output.ctc_logits.float().log_softmax(-1).transpose(0, 1),
        tokens,
        output.ctc_lengths,
        token_lengths,
        blank=config.pad_id,
        reduction="none",
        zero_infinity=True,
    )
    ctc = ctc_by_utterance.sum() / count
    total = (1 - config.ctc_weight) * speller + config.ctc_weight * ctc
    if output.jamo_loss is not None:
        total = total + config.jamo_ctc_weight * jamo
    guide = zero
    if config.guide_weight > 0:
        per_character = ctc_by_utterance.detach() / token_lengths.clamp_min(1)
        certainty = torch.exp(-(per_character / GUIDE_LOSS).pow(4))
        guide = _guided_attention(config, output, tokens, token_lengths, certainty) / count
        total = total + config.guide_weight * guide
    return Losses(total, speller, ctc, guide, jamo)


def _guided_attention(
    config: LASConfig, output: LASOutput, tokens: Tensor, token_lengths: Tensor, certainty: Tensor
) -> Tensor:
    """Sum of the attention weights, penalised by their distance from the CTC alignment.

    As the guided attention of Tachibana et al. 2018, equation 7, but around the best CTC path
    instead of the diagonal, since speech has pauses and its rate varies. Each utterance is weighted
    by the `certainty` (B,) of CTC about its text, 0 to 1, since the first alignments are random.
    """
    assert output.ctc_logits is not None
    spans = ctc_spans(output.ctc_logits, output.ctc_lengths, tokens, token_lengths, config.pad_id)
    frame = torch.arange(output.alignments.shape[2], device=tokens.device)
    # One listener frame covers several CTC frames; their middle is compared with the position.
    ctc_frames_per_frame = config.reduction / config.ctc_reduction
    middle = frame * ctc_frames_per_frame + (ctc_frames_per_frame - 1) / 2
    distance = middle - spans.middle.unsqueeze(2)
    # CTC on a pretrained listener has four times the frames.
    width = GUIDE_WIDTH * (CTC_REDUCTION / config.ctc_reduction if config.is_pretrained else 1)
    penalty = 1 - torch.exp(-0.5 * (distance / width).square())
    misplaced = (output.alignments[:, :-1].float() * penalty).sum(2)
    weighted: Tensor = misplaced * spans.aligned * certainty.unsqueeze(1)
    return weighted.sum()


def speller_targets(config: LASConfig, tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """Tokens (B, U) -> the targets of the speller (B, U + 1): the text, then the end mark."""
    targets = functional.pad(tokens, (0, 1), value=config.pad_id)
    return targets.scatter(1, token_lengths.unsqueeze(1), config.eos_id)
