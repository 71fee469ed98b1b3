"""Weights of a syllable as the sum of weights of its jamo, so that syllables share jamo.

In a plain layer, the weights of 각 and 간 have nothing in common, and most syllables are rare in a
few hours of speech. Here the row of a syllable in a layer's matrix is the sum of one row for each
of its jamo (초성, 중성, 종성) and of its own row, which starts at zero. So a rare syllable gets its
weights from its jamo; a frequent one learns its own difference from them. After training, the sum
replaces the parametrization: the published layer has a plain matrix.

A unit that is in no transcript (`unseen`) has no row of its own: as a target it never comes, and as
a wrong answer it would only be pushed down. It is what its jamo say, and its bias is the mean of
the syllables that are learnt. It stays in the softmax: so the jamo learn what they must not say
together, without which unseen syllables would be written in place of others (docs/decisions.md).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class JamoSum(nn.Module):
    """Parametrization of a layer: the units' own rows (V, D) -> the weight matrix (V, D).

    Parameters
    ----------
    jamo_ids : ids (V, 3) of each unit's jamo, 0 for none
    width : the width D of the layer
    std : initial standard deviation of the jamo rows
    unseen : which units have no row of their own (V); None: all have
    """

    letters: Tensor
    """the jamo ids (V, 3)"""
    unseen: Tensor | None
    """as the parameter, but (V, 1)"""

    def __init__(
        self, jamo_ids: Tensor, width: int, std: float, unseen: Tensor | None = None
    ) -> None:
        super().__init__()
        column = None if unseen is None else unseen.unsqueeze(1)
        self.register_buffer("unseen", column, persistent=False)
        self.register_buffer("letters", jamo_ids, persistent=False)
        self.table = nn.Parameter(torch.empty(int(jamo_ids.max()), width).normal_(std=std))

    def forward(self, own_rows: Tensor) -> Tensor:
        if self.unseen is not None:
            own_rows = own_rows.masked_fill(self.unseen, 0.0)
        return own_rows + self._jamo_sums()

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The units' own rows with which the matrix becomes `weight`."""
        return weight - self._jamo_sums()

    def _jamo_sums(self) -> Tensor:
        rows = nn.functional.pad(self.table, (0, 0, 1, 0))  # id 0, no jamo: a row of zeros
        return rows[self.letters].sum(1)


class UnseenBias(nn.Module):
    """Parametrization of a bias (V): that of each unseen unit is the mean of the seen syllables'.

    No gradient flows through the mean. `unseen` and `seen` tell which units are which (V).
    """

    unseen: Tensor
    seen: Tensor

    def __init__(self, unseen: Tensor, seen: Tensor) -> None:
        super().__init__()
        self.register_buffer("unseen", unseen, persistent=False)
        self.register_buffer("seen", seen, persistent=False)

    def forward(self, own: Tensor) -> Tensor:
        mean = (own.detach() * self.seen).sum() / self.seen.sum()
        return torch.where(self.unseen, mean, own)


def share_jamo(layer: nn.Embedding | nn.Linear, jamo_ids: Tensor, unseen_units: int = 0) -> None:
    """Make each row of an untrained layer the sum of the rows of its unit's `jamo_ids` (V, 3).

    The sums start with the standard deviation that the rows had. Units without jamo keep their row.
    The last `unseen_units` before the three specials are in no transcript. They must have jamo, and
    each of these must be one of a unit before them.
    """
    std = float(layer.weight.detach().std()) * jamo_ids.shape[1] ** -0.5
    unseen = None
    if unseen_units:
        unseen = torch.zeros(len(jamo_ids), dtype=torch.bool)
        unseen[-3 - unseen_units : -3] = True
        if isinstance(layer, nn.Linear):
            bias = UnseenBias(unseen, jamo_ids.any(1) & ~unseen)
            parametrize.register_parametrization(layer, "bias", bias)
    jamo_sum = JamoSum(jamo_ids, layer.weight.shape[1], std, unseen)
    parametrize.register_parametrization(layer, "weight", jamo_sum)
    own_rows: Tensor = layer.parametrizations.weight.original  # type: ignore[union-attr, assignment]
    with torch.no_grad():
        own_rows[jamo_ids.any(1)] = 0.0


def merged_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """The state_dict of a model with plain matrices in place of the sums over jamo.

    A model whose layers do not share jamo, and which has no jamo CTC head, can load it.
    """
    state = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith("jamo_ctc.")
    }
    for name, layer in model.named_modules():
        for parameter in ("weight", "bias"):
            if _is_shared(layer, parameter):
                prefix = f"{name}.parametrizations.{parameter}."
                state = {own: tensor for own, tensor in state.items() if not own.startswith(prefix)}
                state[f"{name}.{parameter}"] = getattr(layer, parameter).detach()
    return state


def _is_shared(layer: nn.Module, parameter: str) -> bool:
    """Whether `share_jamo` made it; a pretrained listener has parametrizations of its own."""
    if not parametrize.is_parametrized(layer, parameter):
        return False
    parametrization = layer.parametrizations[parameter][0]  # type: ignore[index]
    return isinstance(parametrization, JamoSum | UnseenBias)
