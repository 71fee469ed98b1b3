"""The losses: the speller's cross entropy, CTC, and the guide of the attention."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sorigeul.model.config import LASConfig
from sorigeul.model.ctc_alignment import ctc_align
from sorigeul.model.las import LASOutput

GUIDE_WIDTH = 2.0
"""CTC frames on either side of a character's place that its attention may use (one deviation)"""

GUIDE_LOSS = 2.5
"""CTC's loss a character (nats) around which the guide sets in. Where a character is said is known
before which one it is: at this loss CTC's path is good, though its probability of the text is not.
Drawn to its paths much earlier, the attention seemed to hold CTC itself back (docs/lab.md)."""


@dataclass(frozen=True)
class Losses:
    """Losses of a batch, each a mean over its characters."""

    total: Tensor
    speller: Tensor
    ctc: Tensor
    guide: Tensor


def joint_losses(
    config: LASConfig,
    output: LASOutput,
    tokens: Tensor,
    token_lengths: Tensor,
    label_smoothing: float = 0.0,
    total_characters: int | None = None,
) -> Losses:
    """Joint loss ``(1 - w) speller + w CTC`` (Kim et al. 2017, equation 9) of tokens (B, U).

    Each part is a mean over the characters of the batch, end marks included, so that a batch counts
    by how much text it holds. Where the batch is a part of a larger one, and the losses of the
    parts are added up, `total_characters` is the count of the larger one. An utterance with fewer
    frames than CTC needs for its text adds nothing to the CTC loss, and nothing to the guide.
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
    if output.ctc_logits is None:
        return Losses(speller, speller, zero, zero)
    ctc_each = functional.ctc_loss(
        output.ctc_logits.float().log_softmax(-1).transpose(0, 1),
        tokens,
        output.ctc_lengths,
        token_lengths,
        blank=config.pad_id,
        reduction="none",
        zero_infinity=True,
    )
    ctc = ctc_each.sum() / count
    total = (1 - config.ctc_weight) * speller + config.ctc_weight * ctc
    guide = zero
    if config.guide_weight > 0:
        per_character = ctc_each.detach() / token_lengths.clamp_min(1)
        certainty = torch.exp(-(per_character / GUIDE_LOSS).pow(4))
        guide = _guided_attention(config, output, tokens, token_lengths, certainty) / count
        total = total + config.guide_weight * guide
    return Losses(total, speller, ctc, guide)


def _guided_attention(
    config: LASConfig, output: LASOutput, tokens: Tensor, token_lengths: Tensor, certainty: Tensor
) -> Tensor:
    """Sum of the attention that lies away from where CTC's own alignment has each character.

    As the guided attention of Tachibana et al. 2018, equation 7, but around the best CTC path
    instead of the diagonal, since people pause and do not speak at one pace. It is weighted by how
    certain CTC is of the text (`certainty` (B,), 0 to 1), since at first CTC knows nothing.
    """
    assert output.ctc_logits is not None
    position, aligned = ctc_align(
        output.ctc_logits, output.ctc_lengths, tokens, token_lengths, config.pad_id
    )
    frame = torch.arange(output.alignments.shape[2], device=position.device)
    # A listener frame covers this many CTC frames; its middle is compared with the position.
    cover = config.reduction / config.ctc_reduction
    distance = (frame * cover + (cover - 1) / 2) - position.unsqueeze(2)
    penalty = 1 - torch.exp(-0.5 * (distance / GUIDE_WIDTH).square())
    stray = (output.alignments[:, :-1].float() * penalty).sum(2)
    return (stray * aligned * certainty.unsqueeze(1)).sum()


def speller_targets(config: LASConfig, tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """Tokens (B, U) -> what each position should predict (B, U + 1): the text, then the end."""
    targets = functional.pad(tokens, (0, 1), value=config.pad_id)
    return targets.scatter(1, token_lengths.unsqueeze(1), config.eos_id)
