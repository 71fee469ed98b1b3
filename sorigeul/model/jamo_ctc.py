"""An auxiliary CTC head that reads jamo (초성, 중성, 종성) from the lowest listener stack.

Most syllables are rare in a few hours of speech, but no jamo is. So the lower layers learn the
sounds from jamo, as in hierarchical CTC (Krishna et al. 2018, "Hierarchical multitask learning with
CTC"). The head is for training alone: a published model does not have it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLANK = 0  # also the id that stands for "no jamo"


class JamoCtc(nn.Module):
    """A linear layer to the jamo, one unit for all that is no Hangul syllable, and the blank.

    Parameters
    ----------
    jamo_ids : ids (V, 3 C) of the jamo of each unit's characters, of which it has up to C: 0 for a
        missing final, and for all three of what is no syllable; -1 for characters it does not have
    width : the width D of the listener's frames
    """

    jamo_ids: Tensor
    """as the parameter, but characters without jamo have that one unit, and missing ones 0"""

    def __init__(self, jamo_ids: Tensor, width: int) -> None:
        super().__init__()
        other = int(jamo_ids.max()) + 1
        characters = jamo_ids.reshape(len(jamo_ids), -1, 3).clone()
        characters[..., 0][~characters.any(2)] = other
        self.register_buffer("jamo_ids", characters.flatten(1).clamp_min(0), persistent=False)
        self.out = nn.Linear(width, other + 1)

    def forward(self, frames: Tensor, lengths: Tensor, tokens: Tensor, pad_id: int) -> Tensor:
        """The sum of the CTC losses of the jamo of `tokens` (B, U), padded with `pad_id`.

        They are read from the frames of the lowest stack (B, S, D) with valid `lengths` (B,). An
        utterance with fewer frames than its jamo need adds nothing.
        """
        jamo, jamo_lengths = self.targets(tokens, (tokens != pad_id).sum(1))
        return functional.ctc_loss(
            self.out(frames).float().log_softmax(-1).transpose(0, 1),
            jamo,
            lengths,
            jamo_lengths,
            blank=_BLANK,
            reduction="sum",
            zero_infinity=True,
        )

    def targets(self, tokens: Tensor, token_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, U), lengths (B,) -> their jamo (B, 3 C U) and how many there are (B,)."""
        valid = torch.arange(tokens.shape[1], device=tokens.device) < token_lengths.unsqueeze(1)
        jamo = (self.jamo_ids[tokens] * valid.unsqueeze(2)).flatten(1)
        present = jamo != _BLANK
        order = (~present).long().argsort(dim=1, stable=True)  # missing jamo move to the end
        return jamo.gather(1, order), present.sum(1)
