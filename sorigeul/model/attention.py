"""Attention of the speller over the valid frames of the listener, with five score functions.

Every kind scores the frames for a query, weights the frames by the softmax of the scores, and
merges the weighted sum (the context) with the query: ``tanh(W [context; query])`` (Luong et al.
2015, equation 5, which is what the seed prints as `SelfAttention`). The kinds differ in the score.
"""

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn

from sorigeul.model.config import LOCATION_CHANNELS, LOCATION_KERNEL
from sorigeul.model.memory import Memory


class ScoredAttention(nn.Module, ABC):
    """Base class of all kinds of attention. Subclasses define `scores`, and some `make_keys`."""

    recurrent = False
    """whether the scores of a step depend on the alignment of the step before"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W = nn.Linear(2 * width, width)

    def make_keys(self, frames: Tensor) -> Tensor:
        """Frames (B, S, D) -> keys (B, S, A)."""
        return frames

    @abstractmethod
    def scores(self, query: Tensor, memory: Memory, previous: Tensor | None) -> Tensor:
        """Query (B, U, D) -> scores (B, U, S), or (B, H, U, S) with several heads."""

    def forward(
        self, query: Tensor, memory: Memory, previous: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Query (B, U, D) -> merged (B, U, D) and alignment (B, U, S), whose rows sum to 1.

        `previous` is the alignment (B, S) of the step before; only recurrent kinds use it.
        """
        scores = self.scores(query, memory, previous)
        padding = ~memory.valid.view(len(scores), *[1] * (scores.dim() - 2), -1)
        weights = scores.float().masked_fill(padding, -torch.inf).softmax(-1).to(query.dtype)
        context, alignment = self.mix(weights, memory)
        return torch.tanh(self.W(torch.cat((context, query), dim=-1))), alignment

    def mix(self, weights: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Weights (B, U, S), or (B, H, U, S) -> context (B, U, D) and alignment (B, U, S)."""
        return weights @ memory.values, weights


class SelfAttention(ScoredAttention):
    """Plain dot product between the speller's output and the frames, as the seed prints it."""

    def scores(self, query: Tensor, memory: Memory, previous: Tensor | None) -> Tensor:
        return cast(Tensor, query @ memory.keys.transpose(1, 2))


class DotAttention(ScoredAttention):
    """Dot product of projections (Chan et al. 2016, equation 9), divided by the width's root."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)

    def make_keys(self, frames: Tensor) -> Tensor:
        return cast(Tensor, self.key(frames))

    def scores(self, query: Tensor, memory: Memory, previous: Tensor | None) -> Tensor:
        scale = query.shape[-1] ** -0.5
        scores: Tensor = self.query(query) @ memory.keys.transpose(1, 2) * scale
        return scores


class AdditiveAttention(ScoredAttention):
    """``v tanh(W q + V h)`` (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def make_keys(self, frames: Tensor) -> Tensor:
        return cast(Tensor, self.key(frames))

    def scores(self, query: Tensor, memory: Memory, previous: Tensor | None) -> Tensor:
        hidden = self.query(query).unsqueeze(2) + memory.keys.unsqueeze(1)
        return cast(Tensor, self.score(torch.tanh(hidden)).squeeze(-1))


class LocationAttention(AdditiveAttention):
    """Additive attention that also uses its previous alignment (Chorowski et al. 2015, eq. 8-9)."""

    recurrent = True

    def __init__(self, width: int) -> None:
        super().__init__(width)
        channels, kernel = LOCATION_CHANNELS, LOCATION_KERNEL
        self.location_conv = nn.Conv1d(1, channels, kernel, padding=kernel // 2, bias=False)
        self.location = nn.Linear(channels, width, bias=False)

    def scores(self, query: Tensor, memory: Memory, previous: Tensor | None) -> Tensor:
        if previous is None:  # before the first step: uniform over the valid frames
            valid = memory.valid.to(query.dtype)
            previous = valid / valid.sum(1, keepdim=True)
        location = self.location(self.location_conv(previous.unsqueeze(1)).transpose(1, 2))
        hidden = self.query(query) + memory.keys + location
        return cast(Tensor, self.score(torch.tanh(hidden)).transpose(1, 2))


class MultiHeadAttention(ScoredAttention):
    """Several heads of scaled dot-product attention (Chiu et al. 2018, section 2.2.2).

    The alignment is the mean of the heads' alignments.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width)
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def split(self, tensor: Tensor) -> Tensor:
        """(B, L, D) -> (B, H, L, D / H)."""
        batch, length, _ = tensor.shape
        return tensor.reshape(batch, length, self.heads, -1).transpose(1, 2)

    def make_keys(self, frames: Tensor) -> Tensor:
        return torch.cat((self.key(frames), self.value(frames)), dim=-1)

    def scores(self, query: Tensor, memory: Memory, previous: Tensor | None) -> Tensor:
        queries = self.split(self.query(query))
        keys = self.split(memory.keys[..., : query.shape[-1]])
        scale = queries.shape[-1] ** -0.5
        scores: Tensor = queries @ keys.transpose(2, 3) * scale
        return scores

    def mix(self, weights: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        values = self.split(memory.keys[..., memory.values.shape[-1] :])
        context = (weights @ values).transpose(1, 2).flatten(2)
        return context, weights.mean(1)


class Attention(nn.Module):
    """The kind of attention that `score_function` names, over one or several steps."""

    def __init__(self, score_function: str, width: int, heads: int) -> None:
        super().__init__()
        kinds: dict[str, type[ScoredAttention]] = {
            "self": SelfAttention,
            "dot": DotAttention,
            "additive": AdditiveAttention,
            "location": LocationAttention,
        }
        self.attention: ScoredAttention = (
            MultiHeadAttention(width, heads)
            if score_function == "multi-head"
            else kinds[score_function](width)
        )

    @property
    def recurrent(self) -> bool:
        """Whether the scores of a step depend on the alignment of the step before."""
        return self.attention.recurrent

    def make_memory(self, frames: Tensor, valid: Tensor) -> Memory:
        """Frames (B, S, D), valid (B, S) -> the memory that the speller attends to."""
        return Memory(frames, self.attention.make_keys(frames), valid)

    def forward(
        self, query: Tensor, memory: Memory, previous: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Query (B, U, D) -> merged (B, U, D), alignment (B, U, S).

        `previous` is the alignment (B, S) of the step before; None before the first step.
        """
        if not self.recurrent or query.shape[1] == 1:
            return cast(tuple[Tensor, Tensor], self.attention(query, memory, previous))
        outputs = []
        for step_query in query.unbind(1):
            merged, alignment = self.attention(step_query.unsqueeze(1), memory, previous)
            previous = alignment[:, -1]
            outputs.append((merged, alignment))
        merged, alignments = zip(*outputs, strict=True)
        return torch.cat(merged, dim=1), torch.cat(alignments, dim=1)
