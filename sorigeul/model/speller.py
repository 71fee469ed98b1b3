"""The speller: previous characters and listener frames to scores of the next character.

One function computes a single step or a whole teacher-forced sentence, and keeps everything from
one step to the next in a `SpellerState`. (KoSpeech, which this model descends from, lost its hidden
state between the steps of recognition.)
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigeul.model.attention import Attention
from sorigeul.model.config import LASConfig
from sorigeul.model.memory import Memory
from sorigeul.model.recurrent import gru_step, recurrent, run_stateful


@dataclass(frozen=True)
class SpellerState:
    """Everything that the speller keeps from one character to the next."""

    hidden: tuple[Tensor, ...]
    """state of the recurrent layers (layers, B, D); for an LSTM also its cells (layers, B, D)"""
    merged: Tensor
    """last output of the attention (B, 1, D), an input of the next step if `feed_context` is on"""
    alignment: Tensor | None
    """last alignment (B, S); None before the first character"""

    def select(self, rows: Tensor) -> "SpellerState":
        """The state of the hypotheses `rows`, for a beam search that reorders them."""
        return SpellerState(
            tuple(tensor[:, rows] for tensor in self.hidden),
            self.merged[rows],
            None if self.alignment is None else self.alignment[rows],
        )


class Speller(nn.Module):
    """Recurrent layers over the characters, attention over the frames, a linear layer to scores.

    With `feed_context` the recurrent layers also read the last output of the attention (input
    feeding, Luong et al. 2015, section 3.3). LAS as published does so; the seed's model does not.
    """

    character_gates: Tensor | None
    """what the lowest GRU layer makes of each character (V, 3 D), if `tabulate_characters` was
    called"""

    def __init__(self, config: LASConfig) -> None:
        super().__init__()
        width, dropout = config.speller_width, config.dropout
        self.project: nn.Linear | None = None
        """from the width of the listener's frames to the speller's, if they differ"""
        if width != config.width:
            self.project = nn.Linear(config.width, width)
        self.feed_context = config.feed_context
        self.bidirectional_memory = config.use_bidirectional
        """whether the listener's frames have a forward and a backward half"""
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
        self.output_dropout = config.junction_dropout
        self.out = nn.Linear(width, config.vocabulary_size)
        self.register_buffer("character_gates", None, persistent=False)

    def tabulate_characters(self) -> None:
        """Multiply all characters by the input weights of the GRU, once for all steps.

        For a model that is not trained any more. Does nothing where these read something besides
        the character, and for other cells.
        """
        if isinstance(self.rnn, nn.GRU) and not self.feed_context:
            weight, bias = (getattr(self.rnn, f"{name}_ih_l0") for name in ("weight", "bias"))
            self.character_gates = functional.linear(self.embedding.weight, weight, bias).detach()

    @property
    def shares_memory(self) -> bool:
        """Whether the hypotheses of an utterance can share its memory in a beam search."""
        return self.attention is not None and not self.attention.recurrent

    def make_memory(self, frames: Tensor, lengths: Tensor) -> Memory:
        """Listener frames (B, S, D'), lengths (B,) -> the memory that every step attends to."""
        valid = torch.arange(frames.shape[1], device=frames.device) < lengths.unsqueeze(1)
        if self.project is not None:
            frames = self.project(frames)
        if self.attention is None:
            return Memory(frames, frames, valid)
        return self.attention.make_memory(frames, valid)

    def start(self, memory: Memory) -> SpellerState:
        """The state before the first character: zeros, or without attention a summary.

        The summary is the forward half of the last frame with the backward half of the first one
        (Sutskever et al. 2014); with one direction it is the last frame.
        """
        batch, _, width = memory.values.shape
        merged = memory.values.new_zeros(batch, 1, width)
        hidden = memory.values.new_zeros(self.rnn.num_layers, batch, width)
        if self.attention is None:
            last = memory.valid.sum(1) - 1
            last_frame = memory.values[torch.arange(batch, device=last.device), last]
            summary = last_frame
            if self.bidirectional_memory:
                summary = torch.cat(
                    (last_frame[:, : width // 2], memory.values[:, 0, width // 2 :]), dim=1
                )
            hidden = summary.expand(self.rnn.num_layers, -1, -1).contiguous()
        cells = (torch.zeros_like(hidden),) if self.has_cells else ()
        return SpellerState((hidden, *cells), merged, None)

    def forward(
        self, tokens: Tensor, memory: Memory, state: SpellerState | None = None
    ) -> tuple[Tensor, Tensor, SpellerState]:
        """Teacher-forced tokens (B, U) -> logits (B, U, V), alignments (B, U, S), the state after.

        Position u of the logits scores the character that follows ``tokens[:, u]``. If
        `shares_memory`, a beam search may give one character (B K, 1) of each of K hypotheses,
        those of an utterance in successive rows, and the `memory` of the B utterances.
        """
        if state is None:
            state = self.start(memory)
        if self.character_gates is not None and tokens.shape[1] == 1 and not self.training:
            gates = self.character_gates[tokens[:, 0]]
            hidden = gru_step(self.rnn, gates, state.hidden[0])
            merged, alignments, state = self._attend(
                hidden[-1].unsqueeze(1), (hidden,), memory, state
            )
            return self.out(merged), alignments, state
        embedded = self.input_dropout(self.embedding(tokens))
        if not self.feed_context:
            merged, alignments, state = self._advance(embedded, memory, state)
        else:
            outputs = []
            for character in embedded.unbind(1):
                previous = state.merged.to(character.dtype)
                inputs = torch.cat((character.unsqueeze(1), previous), dim=-1)
                merged, alignments, state = self._advance(inputs, memory, state)
                outputs.append((merged, alignments))
            merged = torch.cat([merged for merged, _ in outputs], dim=1)
            alignments = torch.cat([alignments for _, alignments in outputs], dim=1)
        merged = functional.dropout(merged, self.output_dropout, self.training)
        return self.out(merged), alignments, state

    def free_run(self, first: Tensor, steps: int, memory: Memory) -> tuple[Tensor, Tensor]:
        """First tokens (B,) -> logits (B, steps, V), alignments (B, steps, S).

        Each step reads the best character of the step before.
        """
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
        """Inputs (B, U, D) -> merged (B, U, D), alignments (B, U, S), the state after."""
        outputs, hidden = run_stateful(self.rnn, inputs, state.hidden)
        return self._attend(outputs, hidden, memory, state)

    def _attend(
        self, outputs: Tensor, hidden: tuple[Tensor, ...], memory: Memory, state: SpellerState
    ) -> tuple[Tensor, Tensor, SpellerState]:
        """The rest of a step, from the outputs (B, U, D) and states of the recurrent layers."""
        if self.attention is None:
            merged = outputs
            alignments = outputs.new_zeros(*outputs.shape[:2], memory.values.shape[1])
        elif len(outputs) != len(memory.values):  # read the memory once for all hypotheses
            queries = outputs.view(len(memory.values), -1, outputs.shape[2])
            merged, alignments = self.attention(queries, memory)
            merged, alignments = merged.view_as(outputs), alignments.flatten(0, 1).unsqueeze(1)
        else:
            merged, alignments = self.attention(outputs, memory, state.alignment)
        return merged, alignments, SpellerState(hidden, merged[:, -1:], alignments[:, -1])
