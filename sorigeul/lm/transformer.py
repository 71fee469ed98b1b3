"""Transformer language model of characters: a decoder with a bounded context.

Vaswani et al. 2017, with the normalisation before each sublayer (Xiong et al. 2020) and rotary
positions (Su et al. 2021). All heads share one key and one value (Shazeer 2019), so that little has
to be kept for each hypothesis of a beam.

B texts, U characters, C characters of context, L layers, H heads, D width, A width of a head.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import SHARE_BELOW_1, Range, check_ranges
from sorigeul.lm.network import LAYERS, WIDTH, CharacterNetwork, new_embedding
from sorigeul.model.rotary import Rotation, rotate, rotation
from sorigeul.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of a Transformer. Defaults: what two cores can train in an hour."""

    transformer_width: Annotated[int, WIDTH] = 256
    """width of the layers of a transformer, and of its character embedding"""
    transformer_layers: Annotated[int, LAYERS] = 3
    """layers of a transformer"""
    attention_heads: Annotated[int, Range(1, 1024)] = 4
    """heads of its attention; they divide its width into even shares"""
    context: Annotated[int, Range(1, 65_536)] = 192
    """characters that its attention looks back, the current one included"""
    transformer_dropout: Annotated[float, SHARE_BELOW_1] = 0.0
    """share of what each of its layers adds that is dropped in training"""

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_ranges(self)
        if self.transformer_width % (2 * self.attention_heads):
            raise UserError(
                f"transformer_width is {self.transformer_width}, but must be a multiple of twice "
                f"the {self.attention_heads} attention_heads"
            )


@dataclass(frozen=True)
class ContextState:
    """What a Transformer keeps of the last characters of B texts: C - 1 of them at most."""

    layers: tuple[Tensor, ...]
    """of each layer the keys, turned by their positions, and the values (2, B, C, A)"""
    position: int = 0
    """characters read so far, the same of all texts"""

    def select(self, rows: Tensor) -> "ContextState":
        """The state of the texts in `rows` (M,), which may repeat."""
        layers = tuple(layer.index_select(1, rows) for layer in self.layers)
        return ContextState(layers, self.position)


class TransformerNetwork(CharacterNetwork):
    """A Transformer decoder over the characters."""

    kind = "transformer"
    config_type: ClassVar[type[TransformerConfig]] = TransformerConfig
    config: TransformerConfig

    def __init__(self, config: TransformerConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.embedding = new_embedding(vocabulary, config.transformer_width)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.transformer_layers))
        self.norm = nn.LayerNorm(config.transformer_width)
        self.dropout = nn.Dropout(config.transformer_dropout)
        self.projection = nn.Identity()

    def start(self, batch: int) -> ContextState:
        """The state before the first character: no context."""
        config = self.config
        head_width = config.transformer_width // config.attention_heads
        empty = self.never.new_zeros(2, batch, 0, head_width)
        return ContextState((empty,) * config.transformer_layers)

    def read(self, characters: Tensor, memory: ContextState) -> tuple[Tensor, ContextState]:
        """Characters (B, U) -> normalised outputs of the last layer (B, U, D), the state after."""
        config = self.config
        before, length = memory.layers[0].shape[2], characters.shape[1]
        turned = self._rotation(memory.position, length)
        mask = self._mask(before, length)
        forgotten = max(0, before + length - config.context + 1)
        hidden = self.dropout(self.embedding(characters) * config.transformer_width**0.5)
        layers = []
        for block, context in zip(self.blocks, memory.layers, strict=True):
            hidden, context = block(hidden, context, turned, mask)
            layers.append(context[:, :, forgotten:])
        return self.norm(hidden), ContextState(tuple(layers), memory.position + length)

    def _rotation(self, position: int, length: int) -> Rotation:
        """How the heads (U, 1, A / 2) of `length` positions from `position` on are turned."""
        width = self.config.transformer_width // self.config.attention_heads
        positions = torch.arange(position, position + length, device=self.never.device)
        cosine, sine = rotation(positions, width)
        return cosine.unsqueeze(1), sine.unsqueeze(1)

    def _mask(self, before: int, length: int) -> Tensor | None:
        """What each head of each of U characters may look at (U H, before + U).

        None for a single character, which may look at all that is kept.
        """
        if length == 1:
            return None
        device = self.never.device
        query = torch.arange(before, before + length, device=device).unsqueeze(1)
        distance = query - torch.arange(before + length, device=device)
        visible = (distance >= 0) & (distance < self.config.context)
        return visible.repeat_interleave(self.config.attention_heads, 0)


class _Block(nn.Module):
    """Attention to the context, then a feed-forward network, each added to its input."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.transformer_width
        self.heads, self.head_width = config.attention_heads, width // config.attention_heads
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention_input = nn.Linear(width, width + 2 * self.head_width)
        self.attention_output = nn.Linear(width, width)
        self.feed_forward_input = nn.Linear(width, 4 * width)
        self.feed_forward_output = nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(config.transformer_dropout)
        # What the layers add grows with their number: they begin small (Radford et al. 2019).
        for layer in (self.attention_output, self.feed_forward_output):
            layer.weight.data.mul_((2 * config.transformer_layers) ** -0.5)

    def forward(
        self,
        hidden: Tensor,
        context: Tensor,
        turned: Rotation,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Hidden (B, U, D), keys and values (2, B, C, A) -> the same, with those of the new."""
        projected = self.attention_input(self.attention_norm(hidden))
        heads = projected.unflatten(2, (-1, self.head_width))  # (B, U, H + 2, A)
        rotated, value = rotate(heads[:, :, :-1], turned), heads[:, :, -1]
        context = torch.cat((context, torch.stack((rotated[:, :, -1], value))), dim=2)
        queries = rotated[:, :, :-1].flatten(1, 2)  # of all heads, for the key that they share
        keys, values = context.unsqueeze(2)
        attended = functional.scaled_dot_product_attention(queries.unsqueeze(1), keys, values, mask)
        hidden = hidden + self.dropout(self.attention_output(attended.view_as(hidden)))
        inner = functional.gelu(self.feed_forward_input(self.feed_forward_norm(hidden)))
        hidden = hidden + self.dropout(self.feed_forward_output(inner))
        return hidden, context
