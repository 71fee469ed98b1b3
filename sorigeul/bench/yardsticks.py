"""What the benchmarks compare with: the same work done plainly, and the limits of the machine.

Each is written the way one would write it first. Nothing of the product uses them.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import soundfile
import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigeul.base.memory import HUGE_PAGES_VARIABLE
from sorigeul.model.config import LASConfig
from sorigeul.model.las import ListenAttendSpell

_MATRIX = 4096  # most rows and columns: 2 x 4096^3 operations keep a GPU busy for a while
_LONG_ENOUGH = 0.1  # seconds that a product must take to be measured well
_STREAM = 64 * 2**20  # float32 numbers, well past any cache


def fastest_seconds(work: Callable[[], object], repeats: int, device: str = "cpu") -> float:
    """Seconds that `work` takes at its quickest, after one call to warm up.

    The quickest, since whatever else the machine does only ever adds.
    """

    def once() -> float:
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    once()
    return min(once() for _ in range(repeats))


# What the machine can do at most.


def matrix_rate(kind: torch.dtype, device: str) -> float:
    """Operations a second in a product of two large matrices.

    The matrices grow until a product takes a while: a processor without bfloat16 needs a minute for
    a size that others multiply in a hundredth of a second.
    """
    size, largest = 256, _MATRIX if device == "cuda" else _MATRIX // 2
    while True:
        matrix = torch.randn(size, size, device=device).to(kind)
        product = partial(torch.matmul, matrix, matrix)
        if size == largest or fastest_seconds(product, 1, device) > _LONG_ENOUGH:
            return 2 * size**3 / fastest_seconds(product, 5, device)
        size *= 2


def memory_rate(device: str) -> float:
    """Bytes a second read and written by a copy."""
    source = torch.zeros(_STREAM, device=device)
    target = torch.zeros(_STREAM, device=device)
    return 2 * source.nbytes / fastest_seconds(lambda: target.copy_(source), 5, device)


def decoding_rate(files: list[Path]) -> float:
    """Seconds of audio a second that libsndfile decodes, on one core."""
    seconds = sum(soundfile.info(file).duration for file in files)
    return float(seconds) / fastest_seconds(
        lambda: [soundfile.read(file, dtype="float32") for file in files], 3
    )


# The model as one would write it first: float32, default memory layout, no lengths, no masks.


class PlainLAS(nn.Module):
    """The model of `config` with self attention and without CTC, out of PyTorch's own layers."""

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
        """Take the weights of a model of the same configuration."""
        names = {
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
            ours = next(prefix for prefix in names if name.startswith(prefix))
            state[names[ours] + name.removeprefix(ours)] = tensor.clone()
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
        """Features (B, T, F), tokens (B, U) -> the mean loss of a character and end mark."""
        inputs = functional.pad(tokens, (1, 0), value=self.config.sos_id)
        targets = functional.pad(tokens, (0, 1), value=self.config.eos_id)
        logits, _ = self.spell(inputs, self.listen(features))
        return functional.cross_entropy(
            logits.transpose(1, 2), targets, label_smoothing=label_smoothing
        )

    @torch.no_grad()
    def recognize(self, features: Tensor, characters: int) -> Tensor:
        """Features (B, T, F) -> the best ids of so many characters (B, U), greedily."""
        frames, state = self.listen(features), None
        tokens = torch.full((len(features), 1), self.config.sos_id, device=features.device)
        found = []
        for _ in range(characters):
            logits, state = self.spell(tokens, frames, state)
            tokens = logits.argmax(-1)
            found.append(tokens)
        return torch.cat(found, dim=1)


def plain_training_step(
    plain: PlainLAS, features: Tensor, tokens: Tensor, lr: float, label_smoothing: float
) -> Callable[[], object]:
    """A step of training as one would write it first."""
    optimizer = torch.optim.Adam(plain.parameters(), lr=lr)
    plain.train()

    def step() -> None:
        optimizer.zero_grad()
        plain.loss(features, tokens, label_smoothing).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(plain.parameters(), 5.0)
        optimizer.step()

    return step


def random_batch(rows: int, seconds: float, characters: int, device: str) -> tuple[Tensor, Tensor]:
    """Noise for features (B, T, 80), and tokens (B, U)."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(rows, round(100 * seconds), 80, generator=generator)
    tokens = torch.randint(0, 2000, (rows, characters), generator=generator)
    return features.to(device), tokens.to(device)


def plain_step_seconds(
    config: LASConfig, rows: int, seconds: float, characters: int, device: str
) -> float:
    """Seconds of a plain training step on noise, in a process of its own.

    Of its own, since ours keeps the memory it frees, which nobody's first program does.
    """
    kept = os.environ.pop(HUGE_PAGES_VARIABLE, None)
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            work = (config, rows, seconds, characters, device)
            return alone.submit(_plain_step_seconds, *work).result()
    finally:
        if kept is not None:
            os.environ[HUGE_PAGES_VARIABLE] = kept


def _plain_step_seconds(
    config: LASConfig, rows: int, seconds: float, characters: int, device: str
) -> float:
    torch.manual_seed(0)
    plain = PlainLAS(config).to(device)
    batch = random_batch(rows, seconds, characters, device)
    return fastest_seconds(plain_training_step(plain, *batch, 1e-4, 0.1), 3, device)


# What people would use instead.


def librosa_log_mel(samples: "np.ndarray[Any, np.dtype[np.float32]]", n_mels: int) -> Any:
    """Log-mel spectrogram (F, T) of one utterance, as the ancestor computed it."""
    import librosa

    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=16_000,
        n_mels=n_mels,
        n_fft=400,
        hop_length=160,
        window="hamming",
        pad_mode="constant",
    )
    return librosa.power_to_db(mel)


class Whisper:
    """OpenAI's Whisper by `transformers`, of random weights: they do not change its speed."""

    SIZES: ClassVar = {"tiny": (384, 4, 6), "base": (512, 6, 8)}  # width, layers, heads

    def __init__(self, size: str, device: str) -> None:
        import transformers

        width, layers, heads = self.SIZES[size]
        config = transformers.WhisperConfig(
            d_model=width,
            encoder_layers=layers,
            decoder_layers=layers,
            encoder_attention_heads=heads,
            decoder_attention_heads=heads,
            encoder_ffn_dim=4 * width,
            decoder_ffn_dim=4 * width,
        )
        self.device = device
        extractor: Any = transformers.WhisperFeatureExtractor
        self.extract = extractor()
        kind: Any = transformers.WhisperForConditionalGeneration
        self.model = kind(config).eval().to(device)

    @torch.no_grad()
    def recognize(
        self, samples: "np.ndarray[Any, np.dtype[np.float32]]", characters: int
    ) -> Tensor:
        """Greedy ids of so many tokens of one recording of up to 30 s."""
        features = self.extract(samples, sampling_rate=16_000, return_tensors="pt").input_features
        found: Tensor = self.model.generate(
            features.to(self.device),
            min_new_tokens=characters,
            max_new_tokens=characters,
            num_beams=1,
            do_sample=False,
        )
        return found
