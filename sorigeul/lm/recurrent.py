"""Recurrent language model of characters: embedding, GRU or LSTM, output over the vocabulary.

`RecurrentNetwork` is tensors in, tensors out, for training. `RecurrentModel` is the language model
around it, with its vocabulary and its files.

B texts in training, N in scoring, U characters, E embedding, D width, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sorigeul.base.errors import UserError
from sorigeul.base.weights import write_weights
from sorigeul.lm.language_model import LanguageModel
from sorigeul.lm.model_files import (
    CONFIG,
    WEIGHTS,
    LanguageModelDescription,
    read_weights,
    write_description,
)
from sorigeul.text.vocabulary import Vocabulary

Cell = Literal["gru", "lstm"]
NetworkState = tuple[Tensor, ...]
"""hidden state (layers, B, D), and for an LSTM also its cells, of the same shape"""


@dataclass(frozen=True)
class RecurrentConfig:
    """Shape of a recurrent language model. Defaults: what learns most in an hour of two cores."""

    cell: Cell = "gru"
    """gru or lstm"""
    hidden_size: int = 448
    """width of the recurrent layers"""
    embedding_size: int = 160
    """width of the character embedding, which the output shares; a small one makes the input and
    the output of the network cheap"""
    layers: int = 1
    """recurrent layers"""
    dropout: float = 0.0
    """share of the outputs of each layer that are dropped in training; 0 while no line is read
    twice"""

    def __post_init__(self) -> None:
        """Check the sizes."""
        if self.cell not in ("gru", "lstm"):
            raise UserError(f"cell is {self.cell}, but must be gru or lstm")
        for name in ("hidden_size", "embedding_size", "layers"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, but must be at least 1")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout is {self.dropout}, but must be at least 0 and below 1")


class RecurrentNetwork(nn.Module):
    """Characters -> logits of the next character.

    The output uses the weights of the embedding (Press and Wolf 2017), after a projection to its
    width if that is not the width of the layers.
    """

    never: Tensor

    def __init__(self, config: RecurrentConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(len(vocabulary), config.embedding_size)
        nn.init.normal_(self.embedding.weight, std=config.embedding_size**-0.5)
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
        self.output_bias = nn.Parameter(torch.zeros(len(vocabulary)))
        never = torch.zeros(len(vocabulary))
        never[[vocabulary.sos_id, vocabulary.pad_id]] = -torch.inf
        self.register_buffer("never", never, persistent=False)

    def start(self, batch: int) -> NetworkState:
        """The state before the first character."""
        shape = (self.config.layers, batch, self.config.hidden_size)
        zeros = self.never.new_zeros(shape)
        return (zeros,) if self.config.cell == "gru" else (zeros, zeros)

    def read(self, characters: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """Characters (B, U) -> outputs of the last layer (B, U, D), the state after them."""
        given = state[0] if len(state) == 1 else state
        # Under autocast cuDNN's layers would use float16, whose range is too small for gradients.
        with torch.autocast(characters.device.type, enabled=False):
            outputs, after = self.rnn(self.embedding(characters), given)
        return outputs, after if isinstance(after, tuple) else (after,)

    def logits(self, outputs: Tensor) -> Tensor:
        """Outputs (..., D) -> logits (..., V), -inf for ``<s>`` and ``_``."""
        features = self.projection(self.dropout(outputs))
        return nn.functional.linear(features, self.embedding.weight, self.output_bias + self.never)

    def forward(self, characters: Tensor) -> Tensor:
        """Characters (B, U), each row a text from its beginning -> logits (B, U, V)."""
        outputs, _ = self.read(characters, self.start(len(characters)))
        return self.logits(outputs)


@dataclass(frozen=True)
class RecurrentState:
    """What the network remembers of N texts: tensors (layers, N, D)."""

    tensors: NetworkState

    def select(self, rows: Tensor) -> "RecurrentState":
        """The state of the texts in `rows` (M,), which may repeat."""
        return RecurrentState(tuple(tensor.index_select(1, rows) for tensor in self.tensors))


class RecurrentModel(LanguageModel[RecurrentState]):
    """A recurrent network as a language model."""

    kind = "recurrent"

    def __init__(self, network: RecurrentNetwork, vocabulary: Vocabulary) -> None:
        self.network, self.vocabulary = network, vocabulary
        self.fingerprint = _fingerprint(network)
        network.eval()

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self.network.to(device)

    def start(self, rows: int) -> RecurrentState:
        """The state of empty texts: the network has read ``<s>``."""
        before = RecurrentState(self.network.start(rows))
        return self.advance(before, torch.full((rows,), self.vocabulary.sos_id))

    @torch.no_grad()
    def scores(self, state: RecurrentState) -> Tensor:
        """Natural log-probabilities of the next character (N, V), in float32."""
        last_layer = state.tensors[0][-1]  # a layer's hidden state is its output
        return self.network.logits(last_layer).float().log_softmax(-1)

    @torch.no_grad()
    def advance(self, state: RecurrentState, tokens: Tensor) -> RecurrentState:
        """The state after one more character in each text, `tokens` (N,)."""
        tokens = tokens.to(self.network.never.device)
        return RecurrentState(self.network.read(tokens.unsqueeze(1), state.tensors)[1])

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write the model to a folder, with `facts` in its `config.json`."""
        write_description(folder, self.kind, asdict(self.network.config), self.vocabulary, facts)
        write_weights(folder / WEIGHTS, self.network.state_dict())

    @classmethod
    def load(cls, description: LanguageModelDescription) -> "RecurrentModel":
        """Read what `save` wrote.

        Raises UserError if the weights are missing or damaged, or do not fit the description.
        """
        folder, vocabulary = description.folder, description.vocabulary
        try:
            config = RecurrentConfig(**description.settings)
        except TypeError as error:
            raise UserError(
                f"{folder / CONFIG} has settings this version does not know ({error}): use the "
                "version of sorigeul that wrote it"
            ) from error
        network = RecurrentNetwork(config, vocabulary)
        network.load_state_dict(read_weights(folder, network.state_dict()))
        return cls(network, vocabulary)


def _fingerprint(network: RecurrentNetwork) -> str:
    """SHA-256 (hexadecimal) of the weights."""
    digest = sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
