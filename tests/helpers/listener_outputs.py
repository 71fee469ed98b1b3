"""Listener outputs for utterances of many lengths, from models of the fixture `tiny`."""

from collections.abc import Callable

import torch
from torch import Tensor

from sorigeul.model.las import ListenAttendSpell, ListenerOutput

Tiny = Callable[..., ListenAttendSpell]
Utterances = Callable[..., tuple[Tensor, Tensor]]

FRAME_COUNTS = (4, 61, 38, 90, 133, 7, 75, 118)
PADDED_FRAMES = 140
SOS, EOS, PAD = 27, 28, 29  # of `tiny`, after 27 characters


def encode(model: ListenAttendSpell, utterances: Utterances) -> ListenerOutput:
    """Encode utterances of `FRAME_COUNTS` as one batch."""
    with torch.no_grad():
        return model.listen(*utterances(*FRAME_COUNTS, frames=PADDED_FRAMES))


def encode_alone(model: ListenAttendSpell, utterances: Utterances, row: int) -> ListenerOutput:
    """Encode one of the utterances of `encode` as a batch of its own, without padding."""
    features, lengths = utterances(*FRAME_COUNTS, frames=PADDED_FRAMES)
    with torch.no_grad():
        return model.listen(features[row : row + 1, : FRAME_COUNTS[row]], lengths[row : row + 1])


def length_limit(model: ListenAttendSpell, encoded: ListenerOutput, row: int) -> int:
    """Most characters of a hypothesis: 15 a second at 100 feature frames a second, and 8 more."""
    return int(0.15 * int(encoded.lengths[row]) * model.config.reduction) + 8
