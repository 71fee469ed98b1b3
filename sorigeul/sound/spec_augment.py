"""SpecAugment: random masks over frequency bands and time, for training; vocal tracts before it.

Shapes: B utterances, T frames, F mel bands. Every padded tensor comes with its lengths.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import SHARE, Range, check_ranges
from sorigeul.sound.frame_normalization import valid_mask
from sorigeul.sound.vocal_tract import perturb_vocal_tract


@dataclass(frozen=True)
class SpecAugmentConfig:
    """SpecAugment (Park et al. 2019) without time warping."""

    frequency_masks: Annotated[int, Range(0, 100)] = 2
    """number of frequency masks in an augmented copy"""
    frequency_mask_share: Annotated[float, SHARE] = 0.3
    """widest frequency mask, as a share of the mel bands"""
    time_masks: Annotated[int, Range(0, 100)] = 2
    """number of time masks in an augmented copy"""
    time_mask_seconds: Annotated[float, Range(0, 3600)] = 0.4
    """longest time mask in seconds"""
    time_mask_share: Annotated[float, SHARE] = 0.15
    """longest time mask as a share of the utterance, so that most of a short one stays visible"""
    vocal_tract_warp: Annotated[float, Range(0, 0.5, below=True)] = 0.0
    """the frequencies of an augmented copy are stretched by a factor of up to so much above or
    below 1, as if another person spoke (Jaitly and Hinton 2013); 0.1 is usual"""

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.frequency_masks * self.frequency_mask_share >= 1:
            raise UserError("frequency masks could cover all bands: lower frequency_mask_share")
        if self.time_masks * self.time_mask_share >= 1:
            raise UserError("time masks could cover a whole utterance: lower time_mask_share")


def spec_augment(
    features: Tensor,
    lengths: Tensor,
    chosen: Tensor,
    config: SpecAugmentConfig,
    frames_per_second: float = 100.0,
) -> Tensor:
    """Mask random frequency bands and time spans of the chosen utterances with each band's mean.

    ``features``: (B, T, F). ``lengths``: valid frames (B,). ``chosen``: boolean (B,), true for the
    utterances to mask.

    The widths are uniform from 0 to their maximum, and the positions uniform among those that fit
    (Park et al. 2019, section 2). The random numbers come from torch's global CPU generator, so a
    seed gives the same masks on every device.
    """
    if config.vocal_tract_warp:
        features = perturb_vocal_tract(features, chosen, config.vocal_tract_warp)
    batch, time, bands = features.shape
    device = features.device

    def random_spans(count: int, max_width: Tensor, extent: Tensor, size: int) -> Tensor:
        """Draw `count` spans within each `extent` (B,) -> boolean (B, size), true inside a span."""
        width = (torch.rand(batch, count).to(device) * (max_width.unsqueeze(1) + 1)).floor()
        start = (torch.rand(batch, count).to(device) * (extent.unsqueeze(1) - width + 1)).floor()
        position = torch.arange(size, device=device)
        inside = (position >= start.unsqueeze(-1)) & (
            position < (start + width).clamp_max(extent.unsqueeze(1)).unsqueeze(-1)
        )
        return inside.any(1)

    max_bands = torch.full((batch,), int(bands * config.frequency_mask_share), device=device)
    all_bands = torch.full((batch,), bands, device=device)
    max_frames = (lengths * config.time_mask_share).clamp_max(
        config.time_mask_seconds * frames_per_second
    )
    masked_bands = random_spans(config.frequency_masks, max_bands, all_bands, bands).unsqueeze(1)
    masked_frames = random_spans(config.time_masks, max_frames.floor(), lengths, time).unsqueeze(2)
    valid = valid_mask(lengths, time).unsqueeze(-1)
    mean = (features * valid).sum(1, keepdim=True) / lengths.view(-1, 1, 1)
    masked = (masked_bands | masked_frames) & chosen.view(-1, 1, 1) & valid
    return torch.where(masked, mean, features)
