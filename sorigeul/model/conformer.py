"""A listener of Conformer blocks, as an alternative to the pyramid of recurrent layers.

Gulati et al. 2020, "Conformer: Convolution-augmented Transformer for Speech Recognition". Two
things differ: positions are rotary (Su et al. 2021), which needs no table of lengths, and the
convolution module has layer normalisation, whose output does not depend on padding or on the other
utterances of a batch.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigeul.model.config import CONFORMER_EXPANSION, CONFORMER_KERNEL, LASConfig
from sorigeul.model.front_end import FrontEnd
from sorigeul.model.rotary import Rotation, rotate, rotation


class ConformerListener(FrontEnd):
    """Convolutions, then stacks of Conformer blocks; each but the first has half the frames."""

    def __init__(self, config: LASConfig) -> None:
        super().__init__(config)
        sizes = config.stack_sizes
        widths = [self.width, *[2 * config.width] * (len(sizes) - 1)]
        self.stacks = nn.ModuleList(
            ConformerStack(config, width, size) for width, size in zip(widths, sizes, strict=True)
        )
        self.output_dropout = nn.Dropout(config.junction_dropout)

    def forward(self, features: Tensor, lengths: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Features (B, T, F), lengths (B,) -> the output (B, S, D) and lengths (B,) of every stack.

        The speller attends to the last one; the earlier ones have more frames.
        """
        frames, lengths = self.convolve(features, lengths)
        outputs = []
        for number, stack in enumerate(self.stacks):
            if number:
                frames, lengths = join_pairs(frames, lengths)
            frames = stack(frames, lengths)
            outputs.append((self.output_dropout(frames), lengths))
        return outputs


def join_pairs(frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Frames (B, S, D), zero past `lengths` -> pairs (B, ceil(S / 2), 2 D), lengths (B,).

    An odd last frame is paired with zeros.
    """
    if frames.shape[1] % 2:
        frames = functional.pad(frames, (0, 0, 0, 1))
    return frames.reshape(len(frames), -1, 2 * frames.shape[2]), (lengths + 1) // 2


class ConformerStack(nn.Module):
    """A projection to the width of the blocks, and the blocks."""

    def __init__(self, config: LASConfig, input_width: int, blocks: int) -> None:
        super().__init__()
        self.project = nn.Linear(input_width, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(ConformerBlock(config) for _ in range(blocks))
        self.head_width = config.width // config.attention_heads

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Frames (B, S, D'), lengths (B,) -> frames (B, S, D), zero past `lengths`."""
        valid = torch.arange(frames.shape[1], device=frames.device) < lengths.unsqueeze(1)
        # The padding of the convolutions' output is undefined, and may be NaN.
        frames = frames.masked_fill(~valid.unsqueeze(2), 0.0)
        hidden = self.dropout(self.project(frames))
        positions = torch.arange(frames.shape[1], device=frames.device)
        turned = rotation(positions, self.head_width)
        for block in self.blocks:
            hidden = block(hidden, valid, turned)
        return cast(Tensor, hidden.masked_fill(~valid.unsqueeze(2), 0.0))


class ConformerBlock(nn.Module):
    """Half a feed-forward module, self-attention, convolution, the other half (section 2.4)."""

    def __init__(self, config: LASConfig) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.feed_forward_before = _feed_forward(width, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.attention = RotarySelfAttention(width, config.attention_heads, dropout)
        self.convolution = ConvolutionModule(width, dropout)
        self.feed_forward_after = _feed_forward(width, dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, hidden: Tensor, valid: Tensor, turned: Rotation) -> Tensor:
        """Hidden (B, S, D), valid (B, S), rotation of its S positions -> hidden (B, S, D)."""
        hidden = hidden + 0.5 * self.feed_forward_before(hidden)
        attended = self.attention(self.attention_norm(hidden), valid, turned)
        hidden = hidden + self.dropout(attended)
        hidden = hidden + self.convolution(hidden, valid)
        hidden = hidden + 0.5 * self.feed_forward_after(hidden)
        return cast(Tensor, self.norm(hidden))


class RotarySelfAttention(nn.Module):
    """Self-attention over the valid frames, with rotary positions."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, hidden: Tensor, valid: Tensor, turned: Rotation) -> Tensor:
        """Hidden (B, S, D), valid (B, S), rotation of its S positions -> (B, S, D)."""
        batch, frames, width = hidden.shape
        parts = self.query_key_value(hidden).view(batch, frames, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(
            rotate(query, turned),
            rotate(key, turned),
            value,
            attn_mask=valid[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        return cast(Tensor, self.out(attended.transpose(1, 2).reshape(batch, frames, width)))


class ConvolutionModule(nn.Module):
    """Gated pointwise and depthwise convolutions over time (section 2.2)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(
            width, width, CONFORMER_KERNEL, padding=CONFORMER_KERNEL // 2, groups=width
        )
        self.depthwise_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, valid: Tensor) -> Tensor:
        """Hidden (B, S, D), valid (B, S) -> (B, S, D)."""
        gated = functional.glu(self.gate(self.norm(hidden)), dim=-1)
        gated = gated.masked_fill(~valid.unsqueeze(2), 0.0)  # it reads past the end
        mixed = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        mixed = functional.silu(self.depthwise_norm(mixed))
        return cast(Tensor, self.dropout(self.out(mixed)))


def _feed_forward(width: int, dropout: float) -> nn.Sequential:
    """The feed-forward module of section 2.3."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, CONFORMER_EXPANSION * width),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(CONFORMER_EXPANSION * width, width),
        nn.Dropout(dropout),
    )
