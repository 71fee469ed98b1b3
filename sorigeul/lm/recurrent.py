"""Recurrent language model of characters: embedding, GRU or LSTM, output over the vocabulary.

B texts, U characters, E embedding, D width.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import SHARE_BELOW_1, check_ranges
from sorigeul.lm.network import LAYERS, WIDTH, CharacterNetwork, new_embedding
from sorigeul.text.vocabulary import Vocabulary

Cell = Literal["gru", "lstm"]


@dataclass(frozen=True)
class RecurrentConfig:
    """Shape of a recurrent language model. Defaults: what learns most in an hour of two cores."""

    cell: Cell = "gru"
    """gru or lstm"""
    hidden_size: Annotated[int, WIDTH] = 448
    """width of the recurrent layers"""
    embedding_size: Annotated[int, WIDTH] = 160
    """width of the character embedding, which the output shares; a small one makes the input and
    the output of the network cheap"""
    layers: Annotated[int, LAYERS] = 1
    """recurrent layers"""
    dropout: Annotated[float, SHARE_BELOW_1] = 0.0
    """share of the outputs of each layer that are dropped in training; 0 while no line is read
    twice"""

    def __post_init__(self) -> None:
        """Check the sizes."""
        if self.cell not in ("gru", "lstm"):
            raise UserError(f"cell is {self.cell}, but must be gru or lstm")
        check_ranges(self)


@dataclass(frozen=True)
class HiddenState:
    """What recurrent layers remember of B texts."""

    tensors: tuple[Tensor, ...]
    """hidden state (layers, B, D), and for an LSTM also its cells, of the same shape"""

    def select(self, rows: Tensor) -> "HiddenState":
        """The state of the texts in `rows` (M,), which may repeat."""
        return HiddenState(tuple(tensor.index_select(1, rows) for tensor in self.tensors))


class RecurrentNetwork(CharacterNetwork):
    """A GRU or LSTM over the characters."""

    kind = "recurrent"
    config_type: ClassVar[type[RecurrentConfig]] = RecurrentConfig
    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        self.embedding = new_embedding(vocabulary, config.embedding_size)
        layer = nn.GRU if config.cell == "gru" else nn.LSTM
        self.rnn = layer(
            config.embedding_size,
            config.hidden_size,
            config.layers,
            batch_first=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.projection = (
            nn.Identity()
            if config.hidden_size == config.embedding_size
            else nn.Linear(config.hidden_size, config.embedding_size)
        )

    def start(self, batch: int) -> HiddenState:
        """The state before the first character."""
        shape = (self.config.layers, batch, self.config.hidden_size)
        zeros = self.never.new_zeros(shape)
        return HiddenState((zeros,) if self.config.cell == "gru" else (zeros, zeros))

    def read(self, characters: Tensor, memory: HiddenState) -> tuple[Tensor, HiddenState]:
        """Characters (B, U) -> outputs of the last layer (B, U, D), the state after them."""
        tensors = memory.tensors
        given = tensors[0] if len(tensors) == 1 else tensors
        # Under autocast cuDNN's layers would use float16, whose range is too small for gradients.
        with torch.autocast(characters.device.type, enabled=False):
            outputs, after = self.rnn(self.embedding(characters), given)
        return outputs, HiddenState(after if isinstance(after, tuple) else (after,))
