"""The model and its training step in plain PyTorch, as a yardstick for the package.

Written the way one would write it first: float32, default memory layout, no lengths, no masks. The
product does not use it.
"""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigeul.base.memory import HUGE_PAGES_VARIABLE
from sorigeul.bench.timing import fastest_seconds
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell


class PlainLAS(nn.Module):
    """The model of `config` with self attention and without CTC, from the layers of PyTorch."""

    def __init__(self, config: LASConfig) -> None:
        super().__init__()
        self.config = config
        narrow, wide = config.conv_channels, 2 * config.conv_channels
        self.conv = nn.Sequential(
            nn.Conv2d(1, narrow, 3, padding=1),
            nn.Hardtanh(0, 20),
            nn.BatchNorm2d(narrow),
            nn.Conv2d(narrow, narrow, 3, padding=1),
            nn.Hardtanh(0, 20),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(narrow),
            nn.Conv2d(narrow, wide, 3, padding=1),
            nn.Hardtanh(0, 20),
            nn.BatchNorm2d(wide),
            nn.Conv2d(wide, wide, 3, padding=1),
            nn.Hardtanh(0, 20),
            nn.BatchNorm2d(wide),
            nn.Conv2d(wide, wide, 3, padding=1),
            nn.Hardtanh(0, 20),
            nn.BatchNorm2d(wide),
            nn.MaxPool2d(2),
        )
        stacks = config.pyramid_levels + 1
        width, inputs = config.width, wide * (config.n_mels // 4)
        self.rnns = nn.ModuleList()
        for stack in range(stacks):
            layers = config.listener_layer_size // stacks
            layers += stack < config.listener_layer_size % stacks
            self.rnns.append(
                nn.GRU(
                    inputs,
                    config.hidden_size,
                    layers,
                    batch_first=True,
                    bidirectional=True,
                    dropout=config.dropout if layers > 1 else 0.0,
                )
            )
            inputs = 2 * width
        self.embedding = nn.Embedding(config.vocabulary_size, width)
        self.dropout = nn.Dropout(config.dropout)
        self.speller = nn.GRU(
            width,
            width,
            config.speller_layer_size,
            batch_first=True,
            dropout=config.dropout if config.speller_layer_size > 1 else 0.0,
        )
        self.W = nn.Linear(2 * width, width)
        self.out = nn.Linear(width, config.vocabulary_size)

    def take_weights(self, model: ListenAttendSpell) -> "PlainLAS":
        """Copy the weights of a model of the same configuration; return self."""
        plain_prefixes = {
            "listener.conv.": "conv.",
            "listener.bottom_rnn.": "rnns.0.",
            "listener.middle_rnn.rnn.": "rnns.1.",
            "listener.top_rnn.rnn.": "rnns.2.",
            "speller.rnn.": "speller.",
            "speller.attention.attention.W.": "W.",
            "speller.embedding.": "embedding.",
            "speller.out.": "out.",
        }
        state = {}
        for name, tensor in model.state_dict().items():
            prefix = next(prefix for prefix in plain_prefixes if name.startswith(prefix))
            state[plain_prefixes[prefix] + name.removeprefix(prefix)] = tensor.clone()
        self.load_state_dict(state)
        return self

    def listen(self, features: Tensor) -> Tensor:
        """Features (B, T, F) -> listener frames (B, S, D)."""
        hidden = self.conv(features.unsqueeze(1)).permute(0, 2, 3, 1).flatten(2)
        for stack, rnn in enumerate(self.rnns):
            if stack:
                hidden = hidden[:, : hidden.shape[1] // 2 * 2]
                hidden = hidden.reshape(len(hidden), -1, 2 * hidden.shape[2])
            hidden, _ = rnn(hidden)
        frames: Tensor = hidden
        return frames

    def spell(
        self, tokens: Tensor, frames: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Tokens (B, U), listener frames (B, S, D) -> logits (B, U, V), state."""
        output, state = self.speller(self.dropout(self.embedding(tokens)), state)
        context = (output @ frames.transpose(1, 2)).softmax(-1) @ frames
        merged = torch.tanh(self.W(torch.cat((context, output), dim=-1)))
        return self.out(merged), state

    def loss(self, features: Tensor, tokens: Tensor, label_smoothing: float) -> Tensor:
        """Features (B, T, F), tokens (B, U) -> mean loss of the characters and end marks."""
        inputs = functional.pad(tokens, (1, 0), value=self.config.sos_id)
        targets = functional.pad(tokens, (0, 1), value=self.config.eos_id)
        logits, _ = self.spell(inputs, self.listen(features))
        return functional.cross_entropy(
            logits.transpose(1, 2), targets, label_smoothing=label_smoothing
        )

    @torch.no_grad()
    def recognize(self, features: Tensor, characters: int) -> Tensor:
        """Features (B, T, F) -> ids of exactly so many characters (B, U), found greedily."""
        frames, state = self.listen(features), None
        tokens = torch.full((len(features), 1), self.config.sos_id, device=features.device)
        written = []
        for _ in range(characters):
            logits, state = self.spell(tokens, frames, state)
            tokens = logits.argmax(-1)
            written.append(tokens)
        return torch.cat(written, dim=1)


def plain_training_step(
    plain: PlainLAS, features: Tensor, tokens: Tensor, lr: float, label_smoothing: float
) -> Callable[[], object]:
    """A training step as one would write it first."""
    optimizer = torch.optim.Adam(plain.parameters(), lr=lr)
    plain.train()

    def step() -> None:
        optimizer.zero_grad()
        plain.loss(features, tokens, label_smoothing).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(plain.parameters(), 5.0)
        optimizer.step()

    return step


def random_batch(rows: int, seconds: float, characters: int, device: str) -> tuple[Tensor, Tensor]:
    """Features (B, T, 80) of noise at 100 frames a second, and random tokens (B, U)."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(rows, round(100 * seconds), 80, generator=generator)
    tokens = torch.randint(0, 2000, (rows, characters), generator=generator)
    return features.to(device), tokens.to(device)


def plain_step_seconds(
    config: LASConfig, rows: int, seconds: float, characters: int, device: str
) -> float:
    """Seconds of a plain training step on noise, in a new process.

    A new one, since this process keeps the memory that it frees, as no first program does.
    """
    huge_pages = os.environ.pop(HUGE_PAGES_VARIABLE, None)
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            arguments = (config, rows, seconds, characters, device)
            return pool.submit(_plain_step_seconds, *arguments).result()
    finally:
        if huge_pages is not None:
            os.environ[HUGE_PAGES_VARIABLE] = huge_pages


def _plain_step_seconds(
    config: LASConfig, rows: int, seconds: float, characters: int, device: str
) -> float:
    torch.manual_seed(0)
    plain = PlainLAS(config).to(device)
    batch = random_batch(rows, seconds, characters, device)
    return fastest_seconds(plain_training_step(plain, *batch, 1e-4, 0.1), 3, device)
