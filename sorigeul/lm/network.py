"""Language models that are neural networks: what the recurrent one and the Transformer share.

`CharacterNetwork` is tensors in, tensors out, for training. `NetworkModel` is the language model
around it, with its vocabulary and its files.

B texts in training, N in scoring, U characters, E embedding, D width, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sorigeul.base.errors import UserError
from sorigeul.base.outline import have_shapes_of
from sorigeul.base.ranges import Range
from sorigeul.base.weights import read_weights, write_weights
from sorigeul.lm.language_model import LanguageModel, LanguageModelState
from sorigeul.lm.model_files import (
    CONFIG,
    WEIGHTS,
    LanguageModelDescription,
    build_settings,
    write_description,
)
from sorigeul.text.vocabulary import Vocabulary

WIDTH, LAYERS = Range(1, 65_536), Range(1, 100)


class CharacterNetwork(nn.Module, ABC):
    """Characters -> logits of the next character.

    The output uses the weights of the embedding (Press and Wolf 2017), after a projection to its
    width if that is not the width of the layers. Subclasses set `embedding`, `dropout` and
    `projection`.
    """

    kind: ClassVar[str]
    """name of the kind of language model, in its files"""
    config_type: ClassVar[type[Any]]
    """dataclass of the settings of the kind"""
    embedding: nn.Embedding
    dropout: nn.Module
    projection: nn.Module
    never: Tensor

    def __init__(self, config: Any, vocabulary: Vocabulary) -> None:
        """`config` is of `config_type`."""
        super().__init__()
        self.config = config
        self.output_bias = nn.Parameter(torch.zeros(len(vocabulary)))
        never = torch.zeros(len(vocabulary))
        never[[vocabulary.sos_id, vocabulary.pad_id]] = -torch.inf
        self.register_buffer("never", never, persistent=False)

    @abstractmethod
    def start(self, batch: int) -> LanguageModelState:
        """What the network remembers before the first character."""

    @abstractmethod
    def read(self, characters: Tensor, memory: Any) -> tuple[Tensor, LanguageModelState]:
        """Characters (B, U) -> outputs of the last layer (B, U, D), the memory after them."""

    def logits(self, outputs: Tensor) -> Tensor:
        """Outputs (..., D) -> logits (..., V), -inf for ``<s>`` and ``_``."""
        features = self.projection(self.dropout(outputs))
        return nn.functional.linear(features, self.embedding.weight, self.output_bias + self.never)

    def forward(self, characters: Tensor) -> Tensor:
        """Characters (B, U), each row a text from its beginning -> logits (B, U, V)."""
        outputs, _ = self.read(characters, self.start(len(characters)))
        return self.logits(outputs)


def new_embedding(vocabulary: Vocabulary, width: int) -> nn.Embedding:
    """An embedding whose weights suit an output as well."""
    embedding = nn.Embedding(len(vocabulary), width)
    nn.init.normal_(embedding.weight, std=width**-0.5)
    return embedding


@dataclass(frozen=True)
class NetworkState:
    """What a network knows of N texts."""

    outputs: Tensor
    """of the last layer, after the last character (N, D)"""
    memory: LanguageModelState

    def select(self, rows: Tensor) -> "NetworkState":
        """The state of the texts in `rows` (M,), which may repeat."""
        return NetworkState(self.outputs[rows], self.memory.select(rows))


class NetworkModel(LanguageModel[NetworkState]):
    """A network as a language model."""

    def __init__(self, network: CharacterNetwork, vocabulary: Vocabulary) -> None:
        self.network, self.vocabulary = network, vocabulary
        self.fingerprint = _fingerprint(network)
        network.eval()

    def to(self, device: torch.device | str) -> None:
        """Move to a device."""
        self.network.to(device)

    def start(self, rows: int) -> NetworkState:
        """The state of empty texts: the network has read ``<s>``."""
        sos = torch.full((rows,), self.vocabulary.sos_id)
        return self._read(sos, self.network.start(rows))

    @torch.no_grad()
    def scores(self, state: NetworkState) -> Tensor:
        """Natural log-probabilities of the next character (N, V), in float32."""
        return self.network.logits(state.outputs).float().log_softmax(-1)

    def advance(self, state: NetworkState, tokens: Tensor) -> NetworkState:
        """The state after one more character in each text, `tokens` (N,)."""
        return self._read(tokens, state.memory)

    @torch.no_grad()
    def _read(self, tokens: Tensor, memory: LanguageModelState) -> NetworkState:
        tokens = tokens.to(self.network.never.device)
        outputs, memory = self.network.read(tokens.unsqueeze(1), memory)
        return NetworkState(outputs[:, -1], memory)

    def save(self, folder: Path, facts: Mapping[str, Any]) -> None:
        """Write the model to a folder, with `facts` in its `config.json`."""
        network = self.network
        write_description(folder, network.kind, asdict(network.config), self.vocabulary, facts)
        write_weights(folder / WEIGHTS, network.state_dict())

    @classmethod
    def load(
        cls, description: LanguageModelDescription, network_type: type[CharacterNetwork]
    ) -> "NetworkModel":
        """Read what `save` wrote.

        Raises UserError if the weights are missing or damaged, or do not fit the description.
        """
        path, vocabulary = description.folder / WEIGHTS, description.vocabulary
        config = build_settings(network_type.config_type, description)
        weights, _ = read_weights(path)
        build = partial(network_type, config, vocabulary)
        # The file says how large the model is, not its configuration.
        if not have_shapes_of(weights, build):
            raise UserError(f"{path} does not fit {CONFIG}: both must come from one training")
        network = build()
        network.load_state_dict(weights)
        return cls(network, vocabulary)


def _fingerprint(network: CharacterNetwork) -> str:
    """SHA-256 (hexadecimal) of the weights."""
    digest = sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
