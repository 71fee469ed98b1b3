"""The speller: characters so far and what the listener heard, to scores of the next character.

One function runs a single step or a whole teacher-forced sentence, and carries everything it must
remember in a `SpellerState`: the ancestor threw its hidden state away at every step of recognition.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sorigeul.model.attention import Attention, Memory
from sorigeul.model.config import LASConfig
from sorigeul.model.recurrent import recurrent, run_stateful


@dataclass(frozen=True)
class SpellerState:
    """All that the speller carries from one character to the next."""

    hidden: tuple[Tensor, ...]
    """of the recurrent layers: (layers, B, D), and for an LSTM its cells"""
    merged: Tensor
    """last output of the attention (B, 1, D), fed back where `feed_context` is on"""
    alignment: Tensor | None
    """last alignment (B, S); nothing before the first character"""

    def select(self, rows: Tensor) -> "SpellerState":
        """The state of the hypotheses `rows`, for a search that reorders them."""
        return SpellerState(
            tuple(part[:, rows] for part in self.hidden),
            self.merged[rows],
            None if self.alignment is None else self.alignment[rows],
        )


class Speller(nn.Module):
    """Recurrent layers over the characters, attention over the frames, a linear layer to scores.

    With `feed_context` the recurrent layers also read the last attention output (input feeding,
    Luong et al. 2015, section 3.3; LAS does so, the seed's print does not).
    """

    def __init__(self, config: LASConfig) -> None:
        super().__init__()
        width, dropout = config.width, config.dropout
        self.feed_context = config.feed_context
        self.bidirectional_memory = config.use_bidirectional
        """whether the listener's frames join a forward and a backward half"""
        self.has_cells = config.cell == "lstm"
        inputs = width * (2 if config.feed_context else 1)
        self.rnn = recurrent(config.cell, inputs, width, config.speller_layer_size, dropout)
        self.embedding = nn.Embedding(config.vocabulary_size, width)
        self.input_dropout = nn.Dropout(dropout)
        self.attention = (
            Attention(config.score_function, width, config.attention_heads)
            if config.use_attention
            else None
        )
        self.out = nn.Linear(width, config.vocabulary_size)

    def make_memory(self, frames: Tensor, lengths: Tensor) -> Memory:
        """Listener frames (B, S, D) with lengths (B,) -> the memory every step attends to."""
        valid = torch.arange(frames.shape[1], device=frames.device) < lengths.unsqueeze(1)
        if self.attention is None:
            return Memory(frames, frames, valid)
        return self.attention.make_memory(frames, valid)

    def start(self, memory: Memory) -> SpellerState:
        """The state before the first character: zeros, or without attention the summary.

        The summary joins the forward layer's last frame with the backward layer's first one
        (Sutskever et al. 2014); with one direction, both halves come from the last frame.
        """
        batch, _, width = memory.values.shape
        merged = memory.values.new_zeros(batch, 1, width)
        hidden = memory.values.new_zeros(self.rnn.num_layers, batch, width)
        if self.attention is None:
            last = memory.valid.sum(1) - 1
            final = memory.values[torch.arange(batch, device=last.device), last]
            summary = final
            if self.bidirectional_memory:
                summary = torch.cat(
                    (final[:, : width // 2], memory.values[:, 0, width // 2 :]), dim=1
                )
            hidden = summary.expand(self.rnn.num_layers, -1, -1).contiguous()
        cells = (torch.zeros_like(hidden),) if self.has_cells else ()
        return SpellerState((hidden, *cells), merged, None)

    def forward(
        self, tokens: Tensor, memory: Memory, state: SpellerState | None = None
    ) -> tuple[Tensor, Tensor, SpellerState]:
        """Teacher-forced: tokens (B, U) -> logits (B, U, V), alignments (B, U, S), state.

        Position u of the logits scores the character after ``tokens[:, u]``.
        """
        if state is None:
            state = self.start(memory)
        embedded = self.input_dropout(self.embedding(tokens))
        if not self.feed_context:
            merged, alignments, state = self._advance(embedded, memory, state)
        else:
            steps = []
            for step in embedded.unbind(1):
                fed = torch.cat((step.unsqueeze(1), state.merged.to(step.dtype)), dim=-1)
                merged, alignments, state = self._advance(fed, memory, state)
                steps.append((merged, alignments))
            merged = torch.cat([merged for merged, _ in steps], dim=1)
            alignments = torch.cat([alignments for _, alignments in steps], dim=1)
        return self.out(merged), alignments, state

    def free_run(self, first: Tensor, steps: int, memory: Memory) -> tuple[Tensor, Tensor]:
        """Feed back the best character: first (B,) -> logits (B, steps, V), alignments."""
        tokens, state = first.unsqueeze(1), None
        outputs = []
        for _ in range(steps):
            logits, alignments, state = self(tokens, memory, state)
            outputs.append((logits, alignments))
            tokens = logits.argmax(-1)
        logits, alignments = zip(*outputs, strict=True)
        return torch.cat(logits, dim=1), torch.cat(alignments, dim=1)

    def _advance(
        self, inputs: Tensor, memory: Memory, state: SpellerState
    ) -> tuple[Tensor, Tensor, SpellerState]:
        outputs, hidden = run_stateful(self.rnn, inputs, state.hidden)
        if self.attention is None:
            merged = outputs
            alignments = outputs.new_zeros(*outputs.shape[:2], memory.values.shape[1])
        else:
            merged, alignments = self.attention(outputs, memory, state.alignment)
        return merged, alignments, SpellerState(hidden, merged[:, -1:], alignments[:, -1])
