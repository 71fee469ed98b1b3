"""Cuts to padded batches: length buckets, augmentation, a position that can be resumed.

Knows cuts and batches; nothing of frames, models or where a manifest and its recordings are.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from lhotse import CutSet, MonoCut
from torch import Tensor

from sorigeul.data.config import DataConfig
from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.data.manifests import (
    text,
)
from sorigeul.sound import augmentation
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Failure:
    """An utterance whose audio could not be read."""

    id: str
    text: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """UtteranceDataset side by side, shorter ones padded with silence."""

    ids: list[str]
    texts: list[str]
    waveforms: Tensor
    """(B, N) at 16 kHz"""
    lengths: Tensor
    """samples of each (B,)"""
    tokens: Tensor
    """character ids, padded (B, U)"""
    token_lengths: Tensor
    """characters of each (B,)"""
    augmented: Tensor
    """boolean (B,), true for the copies to mask"""
    failures: list["Failure"]
    """utterances left out, since their audio could not be read"""

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> "Batch":
        moved: dict[str, Any] = {
            name: part.to(device, non_blocking=True)
            for name, part in vars(self).items()
            if isinstance(part, Tensor)
        }
        return replace(self, **moved)


class UtteranceDataset(torch.utils.data.Dataset[Batch]):
    """Decodes the audio of a sampled set of cuts. One that cannot be read is named, not hidden."""

    def __init__(self, vocabulary: Vocabulary, noise: augmentation.Noise | None = None) -> None:
        self.vocabulary, self.noise = vocabulary, noise

    def __getitem__(self, cuts: CutSet) -> Batch:
        kept: list[MonoCut] = []
        waveforms: list[np.ndarray[Any, np.dtype[np.float32]]] = []
        failures: list[Failure] = []
        for cut in cuts:
            try:
                waveforms.append(self._heard(cut))
                kept.append(cut)
            except AudioError as error:
                failures.append(Failure(cut.id, text(cut), str(error)))
        tokens = [torch.tensor(self.vocabulary.encode(text(cut))) for cut in kept]
        return Batch(
            ids=[cut.id for cut in kept],
            texts=[text(cut) for cut in kept],
            waveforms=_pad([torch.from_numpy(waveform) for waveform in waveforms], 0.0),
            lengths=torch.tensor([len(waveform) for waveform in waveforms], dtype=torch.long),
            tokens=_pad(tokens, self.vocabulary.pad_id).long(),
            token_lengths=torch.tensor([len(part) for part in tokens], dtype=torch.long),
            augmented=torch.tensor([is_augmented(cut) for cut in kept], dtype=torch.bool),
            failures=failures,
        )

    def _heard(self, cut: MonoCut) -> Samples:
        """The sound of a cut, changed as was drawn for it."""
        samples, drawn = load_cut_audio(cut), cut.custom or {}
        samples = augmentation.change_speed(samples, drawn.get("speed", 10))
        if self.noise is None or "draw" not in drawn:
            return samples
        return self.noise.mixed(samples, drawn["draw"])


def _pad(rows: Sequence[Tensor], value: float) -> Tensor:
    if not rows:
        return torch.zeros(0, 0)
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def is_augmented(cut: MonoCut) -> bool:
    return bool((cut.custom or {}).get("augmented", False))


def in_groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """So many batches at a time; the last group may be smaller."""
    rest = iter(batches)
    while group := list(islice(rest, size)):
        yield group


def longest_batch(
    seconds: float, characters: int, vocabulary: Vocabulary, config: DataConfig, processes: int = 1
) -> Batch:
    """Noise in the place of the largest batch of a process, of utterances as long as the longest.

    Where `batch_seconds` does not count padding, since pack_by_length is off, others are larger.
    """
    if config.speed_perturbation:
        seconds *= 10 / min(augmentation.SPEEDS)
    in_seconds = math.ceil(max(config.batch_seconds * processes // seconds, 1) / processes)
    rows = in_seconds if config.batch_seconds else config.batch_size
    characters *= 3 if vocabulary.kind == "jamo" else 1  # the most that a syllable has
    tokens = torch.arange(characters) % (len(vocabulary) - 3)
    lengths = torch.full((rows,), round(seconds * SAMPLE_RATE))
    return Batch(
        ids=[""] * rows,
        texts=[""] * rows,
        waveforms=torch.rand(rows, int(lengths[0]), generator=torch.Generator()) - 0.5,
        lengths=lengths,
        tokens=tokens.expand(rows, -1).contiguous(),
        token_lengths=torch.full((rows,), characters),
        augmented=torch.zeros(rows, dtype=torch.bool),
        failures=[],
    )
