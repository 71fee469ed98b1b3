"""Syllables that share what their letters have in common.

To a vocabulary of syllables 각 and 간 are as different as any two, and in a few hours of speech
most syllables are rare. Here the row of a syllable in a layer's matrix is the sum of a row for each
of its letters (초성, 중성, 종성) and of one of its own, which starts at zero: a syllable is what
its letters say, until there is enough of it to say more. The trained sum is a matrix as any other.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class JamoSum(nn.Module):
    """The own rows (V, D) of a layer's units -> its matrix (V, D).

    Parameters
    ----------
    letters : ids (V, 3) of each unit's letters, 0 for none
    std : deviation of the rows of the letters, to begin with
    """

    letters: Tensor

    def __init__(self, letters: Tensor, width: int, std: float) -> None:
        super().__init__()
        self.register_buffer("letters", letters, persistent=False)
        self.table = nn.Parameter(torch.empty(int(letters.max()), width).normal_(std=std))

    def forward(self, own: Tensor) -> Tensor:
        return own + self._sums()

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The own rows that make the matrix `weight`."""
        return weight - self._sums()

    def _sums(self) -> Tensor:
        rows = nn.functional.pad(self.table, (0, 0, 1, 0))  # no letter, no share
        return rows[self.letters].sum(1)


def share_letters(layer: nn.Embedding | nn.Linear, letters: Tensor) -> None:
    """Let the rows of a fresh layer be sums of their letters' (V, 3).

    The sums begin with the deviation that the rows had.
    """
    std = float(layer.weight.detach().std()) * letters.shape[1] ** -0.5
    summed = JamoSum(letters, layer.weight.shape[1], std)
    parametrize.register_parametrization(layer, "weight", summed)
    own: Tensor = layer.parametrizations.weight.original  # type: ignore[union-attr, assignment]
    with torch.no_grad():
        own[letters.any(1)] = 0.0


def merged_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model with the sums taken, as the same model without shared letters has it."""
    state = {
        name: part for name, part in model.state_dict().items() if ".parametrizations." not in name
    }
    for name, layer in model.named_modules():
        if parametrize.is_parametrized(layer, "weight"):
            assert isinstance(layer.weight, Tensor)
            state[f"{name}.weight"] = layer.weight.detach()
    return state
