"""Cuts to padded batches of waveforms and tokens, with the augmentation drawn for each.

Does not know about features or models, or which cuts a batch is made of.
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
from sorigeul.data.manifests import speaker, transcript
from sorigeul.sound import augmentation
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.sound.degradations import Degradation
from sorigeul.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Failure:
    """An utterance whose audio could not be read."""

    id: str
    text: str
    reason: str
    speaker: str = ""
    """empty if it is not known"""


@dataclass(frozen=True)
class Batch:
    """Utterances of a batch: waveforms padded with silence, and tokens with their lengths."""

    ids: list[str]
    texts: list[str]
    speakers: list[str]
    """empty for one who is not known"""
    waveforms: Tensor
    """(B, N) at 16 kHz"""
    lengths: Tensor
    """samples of each utterance (B,)"""
    tokens: Tensor
    """character ids, padded (B, U)"""
    token_lengths: Tensor
    """characters of each utterance (B,)"""
    augmented: Tensor
    """boolean (B,), true for the copies that SpecAugment masks"""
    failures: list[Failure]
    """utterances left out because their audio could not be read"""

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self) -> list[Samples]:
        """The samples of each utterance (N,), without padding; for a batch on the CPU."""
        lengths = self.lengths.tolist()
        return [row[:length].numpy() for row, length in zip(self.waveforms, lengths, strict=True)]

    def cut(self, spans: Sequence[slice]) -> "Batch":
        """The batch with only these samples of each utterance; for a batch on the CPU."""
        rows = [torch.from_numpy(row[span]) for row, span in zip(self.rows(), spans, strict=True)]
        lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
        return replace(self, waveforms=_pad(rows, 0.0), lengths=lengths)

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on `device`."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, **moved)


class UtteranceDataset(torch.utils.data.Dataset[Batch]):
    """Loads the batch of the cuts that a sampler chose.

    Cuts whose audio cannot be read are left out, and listed in `Batch.failures`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        noise: augmentation.Noise | None = None,
        voices: Sequence[Samples] = (),
    ) -> None:
        self.vocabulary, self.noise, self.voices = vocabulary, noise, voices

    def __getitem__(self, cuts: CutSet) -> Batch:
        loaded: list[MonoCut] = []
        waveforms: list[np.ndarray[Any, np.dtype[np.float32]]] = []
        failures: list[Failure] = []
        for cut in cuts:
            try:
                waveforms.append(self._load_augmented(cut))
                loaded.append(cut)
            except AudioError as error:
                failures.append(Failure(cut.id, transcript(cut), str(error), speaker(cut)))
        tokens = [torch.tensor(self.vocabulary.encode(transcript(cut))) for cut in loaded]
        return Batch(
            ids=[cut.id for cut in loaded],
            texts=[transcript(cut) for cut in loaded],
            speakers=[speaker(cut) for cut in loaded],
            waveforms=_pad([torch.from_numpy(waveform) for waveform in waveforms], 0.0),
            lengths=torch.tensor([len(waveform) for waveform in waveforms], dtype=torch.long),
            tokens=_pad(tokens, self.vocabulary.pad_id).long(),
            token_lengths=torch.tensor([len(row) for row in tokens], dtype=torch.long),
            augmented=torch.tensor([is_augmented(cut) for cut in loaded], dtype=torch.bool),
            failures=failures,
        )

    def _load_augmented(self, cut: MonoCut) -> Samples:
        """The audio of a cut (N,), with the speed, noise and degradations drawn for it."""
        samples, draws = load_cut_audio(cut), cut.custom or {}
        samples = augmentation.change_speed(samples, draws.get("speed", 10))
        if "draw_key" not in draws:
            return samples
        draw_key = draws["draw_key"]
        samples = self._degraded(samples, draws.get("place", ""), draw_key)
        if self.noise is not None:
            samples = self.noise.mixed(samples, draw_key)
        return self._degraded(samples, draws.get("channel", ""), draw_key)

    def _degraded(self, samples: Samples, degradation: str, draw_key: str) -> Samples:
        """Samples (N,) -> (M,), degraded as the text says; an empty one changes nothing."""
        if not degradation:
            return samples
        return Degradation.parse(degradation, self.voices).apply(samples, draw_key)


def _pad(rows: Sequence[Tensor], value: float) -> Tensor:
    if not rows:
        return torch.zeros(0, 0)
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def is_augmented(cut: MonoCut) -> bool:
    """Whether SpecAugment masks this cut, which is then a copy of another."""
    return bool((cut.custom or {}).get("augmented", False))


def in_groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Groups of `size` batches; the last group may be smaller."""
    remaining = iter(batches)
    while group := list(islice(remaining, size)):
        yield group


def longest_batch(
    seconds: float, characters: int, vocabulary: Vocabulary, config: DataConfig, processes: int = 1
) -> Batch:
    """A batch of noise, as large as the largest training batch of a process, to test memory.

    All its utterances are as long as the longest one, which has `seconds` and `characters`. If
    pack_by_length is off, `batch_seconds` does not count padding, and a real batch can be larger.
    """
    if config.speed_perturbation:
        seconds *= 10 / min(augmentation.SPEEDS)
    if config.silence_share:
        seconds += config.silence_seconds
    rows_by_seconds = math.ceil(max(config.batch_seconds * processes // seconds, 1) / processes)
    rows = rows_by_seconds if config.batch_seconds else config.batch_size
    characters *= 3 if vocabulary.kind == "jamo" else 1  # a syllable has at most three jamo
    tokens = torch.arange(characters) % (len(vocabulary) - 3)
    lengths = torch.full((rows,), round(seconds * SAMPLE_RATE))
    return Batch(
        ids=[""] * rows,
        texts=[""] * rows,
        speakers=[""] * rows,
        waveforms=torch.rand(rows, int(lengths[0]), generator=torch.Generator()) - 0.5,
        lengths=lengths,
        tokens=tokens.expand(rows, -1).contiguous(),
        token_lengths=torch.full((rows,), characters),
        augmented=torch.zeros(rows, dtype=torch.bool),
        failures=[],
    )
