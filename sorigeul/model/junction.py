"""What lies between two parts of the listener: layer normalisation, if wanted, and dropout.

A pyramid without them has dropout in one place only, between the layers of a stack (docs/lab.md).
"""

import torch
from torch import Tensor, nn

from sorigeul.model.config import LASConfig


class Junction(nn.Module):
    """Layer normalisation (Ba et al. 2016) if `junction_norm` is on, then dropout.

    Neither makes anything of padding: it is zero afterwards.
    """

    def __init__(self, config: LASConfig, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if config.junction_norm else None
        self.dropout = nn.Dropout(config.junction_dropout)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Frames (B, S, D), lengths (B,) -> (B, S, D), zero past each length."""
        time = torch.arange(frames.shape[1], device=frames.device)
        padding = (time >= lengths.unsqueeze(1)).unsqueeze(2)
        if self.norm is not None:
            frames = self.norm(frames)
        outputs: Tensor = self.dropout(frames)
        return outputs.masked_fill(padding, 0.0)  # which a norm moves, and which may be NaN before


def make_junctions(config: LASConfig, widths: list[int]) -> nn.ModuleList | None:
    """A junction for each of the `widths` D of frames; None if there is nothing in them."""
    if not (config.junction_norm or config.junction_dropout):
        return None
    return nn.ModuleList(Junction(config, width) for width in widths)
