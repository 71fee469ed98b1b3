"""The interface of every language model: scores of the next character, for a batch of texts.

N texts side by side, V vocabulary. The ids are those of a recogniser's vocabulary. A language model
never writes ``<s>`` or ``_``; in a text that is read, the id of ``_`` stands for a character that
the vocabulary does not have.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from sorigeul.base.arrays import Array
from sorigeul.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch


class LanguageModelState(Protocol):
    """What a language model knows of N texts."""

    def select(self: "State", rows: Array) -> "State":
        """The state of the texts in `rows` (M,), which may repeat."""


State = TypeVar("State", bound=LanguageModelState)


class LanguageModel(ABC, Generic[State]):
    """Probabilities of the next character, for texts that grow by one character at a time."""

    vocabulary: Vocabulary
    fingerprint: str
    """tells this model from any other"""

    @abstractmethod
    def to(self, device: "torch.device | str") -> None:
        """Move to a device, where all later states and scores are."""

    @abstractmethod
    def start(self, rows: int) -> State:
        """The state of so many empty texts."""

    @abstractmethod
    def scores(self, state: State) -> Array:
        """Natural log-probabilities of the next character and of ``</s>`` (N, V), in float32.

        ``<s>`` and ``_`` have -inf; the rest sums to one.
        """

    @abstractmethod
    def advance(self, state: State, tokens: Array) -> State:
        """The state after one more character in each text, `tokens` (N,)."""


def unit_lengths(vocabulary: Vocabulary) -> npt.NDArray[np.int64]:
    """How many characters of a text each unit stands for, the end of a line counted as one (V,).

    With bpe the space before the first word is counted in its place. 0 for unknown characters.
    """
    lengths = np.array([len(unit) for unit in vocabulary.units], np.int64)
    lengths[[vocabulary.sos_id, vocabulary.pad_id]] = 0
    lengths[vocabulary.eos_id] = 0 if vocabulary.kind == "bpe" else 1
    return lengths
