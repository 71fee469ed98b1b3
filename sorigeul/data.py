"""Manifests to padded batches: length buckets, augmented copies, a position that can be resumed.

Knows manifests and batches; nothing of frames, models or how a manifest came to be.
"""

import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lhotse import CutSet, MonoCut
from lhotse.dataset import DynamicBucketingSampler, DynamicCutSampler, SimpleCutSampler
from lhotse.dataset.sampling.base import CutSampler
from torch import Tensor
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul import audio
from sorigeul.errors import UserError
from sorigeul.vocabulary import Vocabulary

_BUCKETS = 20
_BATCHES_A_BUCKET = 4
_EVALUATION_SECONDS = 120.0


@dataclass(frozen=True)
class DataConfig:
    """How utterances become batches."""

    batch_size: int = 8
    """mini-batch size"""
    batch_seconds: float = 0.0
    """seconds of audio in a batch in place of batch_size, padding included where pack_by_length is
    on; 0: batches of batch_size"""
    pack_by_length: bool = True
    """flag indication whether to pack batch by similar sequence lengths"""
    use_augment: bool = True
    """flag indication whether to use spec-augmentation or not"""
    augment_ratio: float = 1.0
    """ratio of spec-augmentation applied data: this many masked copies of an utterance join it"""
    num_workers: int = 0
    """processes that decode audio; 0 decodes in the training process"""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size}, but must be at least 1")
        if self.batch_seconds < 0:
            raise UserError(f"batch_seconds is {self.batch_seconds:g}, but must not be negative")
        if self.augment_ratio < 0:
            raise UserError(f"augment_ratio is {self.augment_ratio:g}, but must not be negative")
        if self.num_workers < 0:
            raise UserError(f"num_workers is {self.num_workers}, but must not be negative")

    @property
    def copies(self) -> float:
        """Items an epoch holds for each utterance: itself and its augmented copies."""
        return 1 + (self.augment_ratio if self.use_augment else 0)


@dataclass(frozen=True)
class Failure:
    """An utterance whose audio could not be read."""

    id: str
    text: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """Utterances side by side, shorter ones padded with silence."""

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


def manifest(data: Path, split: str) -> CutSet | None:
    """The lazily read cuts of a split of a prepared corpus, or none where it has no such split."""
    if not data.is_dir():
        raise UserError(f"{data} is no folder of manifests: make one with 'sorigeul prepare'")
    path = data / f"{split}.jsonl"
    return open_manifest(path) if path.exists() else None


def required_manifest(data: Path, split: str) -> CutSet:
    """As `manifest`, but the split must exist."""
    cuts = manifest(data, split)
    if cuts is None:
        found = ", ".join(sorted(path.stem for path in data.glob("*.jsonl"))) or "none"
        raise UserError(
            f"{data} has no manifest {split}.jsonl (found: {found}): "
            "make it with 'sorigeul prepare'"
        )
    return cuts


def open_manifest(path: Path) -> CutSet:
    """The lazily read cuts of one manifest; its first line is checked at once."""
    cuts = CutSet.from_jsonl_lazy(path)
    try:
        first = next(iter(cuts), None)
        usable = first is not None and bool(_text(first)) and bool(_audio_path(first))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError):
        usable = False
    if not usable:
        raise UserError(
            f"{path} is empty or no manifest of cuts with text: make it with 'sorigeul prepare'"
        )
    if not _ends_a_line(path):
        raise UserError(f"{path} was cut off in its last line: make it or copy it again")
    return cuts


def _ends_a_line(path: Path) -> bool:
    """Whether the last line of a file, if it has any, is whole."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 1, 0))
        return file.read() in (b"", b"\n")


def _text(cut: MonoCut) -> str:
    return str(cut.supervisions[0].text or "")


def _audio_path(cut: MonoCut) -> str:
    return str(cut.recording.sources[0].source)


@dataclass(frozen=True)
class Survey:
    """What one pass over the training manifest finds out."""

    utterances: int
    characters: Counter[str]


def survey(cuts: CutSet) -> Survey:
    """Count the utterances and characters of a manifest."""
    utterances = 0
    characters: Counter[str] = Counter()
    for cut in cuts:
        utterances += 1
        characters.update(_text(cut))
    return Survey(utterances, characters)


def normalizer(cuts: CutSet) -> str:
    """Name and version of the normaliser the transcripts of a manifest went through."""
    custom = next(iter(cuts)).supervisions[0].custom or {}
    return str(custom.get("normalizer", "unknown"))


def texts(cuts: CutSet) -> Iterator[str]:
    """The transcripts of a manifest."""
    return (_text(cut) for cut in cuts)


def infeasible(
    cuts: CutSet, vocabulary: Vocabulary, frames_per_second: float
) -> Iterator[tuple[str, str]]:
    """Utterances that CTC cannot align at this frame rate, as (id, reason)."""
    for cut in cuts:
        tokens = vocabulary.encode(_text(cut))
        needed = len(tokens) + sum(left == right for left, right in pairwise(tokens))
        frames = int(cut.duration * frames_per_second)
        if needed > frames:
            yield cut.id, f"{needed} CTC frames needed for its text, {frames} there"


class Utterances(torch.utils.data.Dataset[Batch]):
    """Decodes the audio of a sampled set of cuts. One that cannot be read is named, not hidden."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def __getitem__(self, cuts: CutSet) -> Batch:
        kept: list[MonoCut] = []
        waveforms: list[np.ndarray[Any, np.dtype[np.float32]]] = []
        failures: list[Failure] = []
        for cut in cuts:
            try:
                waveforms.append(audio.load(_audio_path(cut)).samples)
                kept.append(cut)
            except audio.AudioError as error:
                failures.append(Failure(cut.id, _text(cut), str(error)))
        tokens = [torch.tensor(self.vocabulary.encode(_text(cut))) for cut in kept]
        return Batch(
            ids=[cut.id for cut in kept],
            texts=[_text(cut) for cut in kept],
            waveforms=_pad([torch.from_numpy(waveform) for waveform in waveforms], 0.0),
            lengths=torch.tensor([len(waveform) for waveform in waveforms], dtype=torch.long),
            tokens=_pad(tokens, self.vocabulary.pad_id).long(),
            token_lengths=torch.tensor([len(part) for part in tokens], dtype=torch.long),
            augmented=torch.tensor([_is_augmented(cut) for cut in kept], dtype=torch.bool),
            failures=failures,
        )


def _pad(rows: Sequence[Tensor], value: float) -> Tensor:
    if not rows:
        return torch.zeros(0, 0)
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def _is_augmented(cut: MonoCut) -> bool:
    return bool((cut.custom or {}).get("augmented", False))


def with_augmented_copies(cuts: CutSet, ratio: float) -> CutSet:
    """The cuts and, for each, `ratio` copies marked for SpecAugment (0.5: for every second one).

    This is what the seed means by `augment_ratio`: the data grows, the plain recordings stay.
    Which ones a fraction takes depends on their ids alone, so it is the same in every epoch.
    """
    parts = [cuts]
    number = 1
    while ratio > 0:
        parts.append(cuts.filter(partial(_chosen, ratio)).map(partial(_copy, number)))
        ratio, number = ratio - 1, number + 1
    # Mixed rather than joined end to end, so that buckets hold plain and masked ones side by side.
    return cuts if len(parts) == 1 else CutSet.mux(*parts, seed=0)


def _chosen(ratio: float, cut: MonoCut) -> bool:
    return zlib.crc32(cut.id.encode()) < ratio * 2**32


def _copy(number: int, cut: MonoCut) -> MonoCut:
    return replace(cut, id=f"{cut.id}#{number}", custom={**(cut.custom or {}), "augmented": True})


def training_batches(
    cuts: CutSet, vocabulary: Vocabulary, config: DataConfig, seed: int, rank: int, world_size: int
) -> StatefulDataLoader:
    """Shuffled batches without end marks; ``.sampler.set_epoch(n)`` gives each epoch its order.

    `state_dict` and `load_state_dict` hold the position within the epoch, prefetched batches
    included.
    """
    if config.use_augment:
        cuts = with_augmented_copies(cuts, config.augment_ratio)
    size: dict[str, Any] = (
        {"max_duration": config.batch_seconds}
        if config.batch_seconds
        else {"max_cuts": config.batch_size}
    )
    shared: dict[str, Any] = {
        **size, "shuffle": True, "seed": seed, "rank": rank, "world_size": world_size,
    }  # fmt: skip
    # Every bucket ends the epoch with a batch that is not full: few utterances get few buckets.
    some = [cut.duration for cut in islice(cuts, 2000)]
    batch = config.batch_seconds * len(some) / sum(some) or config.batch_size
    buckets = min(_BUCKETS, max(2, int(len(some) / batch / _BATCHES_A_BUCKET)))
    sampler = (
        DynamicBucketingSampler(cuts, num_buckets=buckets, **shared)
        if config.pack_by_length and len(some) > 1
        else DynamicCutSampler(cuts, **shared)
    )
    return _loader(sampler, vocabulary, config.num_workers)


def evaluation_batches(
    cuts: CutSet, vocabulary: Vocabulary, num_workers: int = 0
) -> StatefulDataLoader:
    """Every utterance once, the longest first, in batches of about two minutes of audio."""
    ordered = cuts.to_eager().sort_by_duration(ascending=False)
    sampler = SimpleCutSampler(ordered, max_duration=_EVALUATION_SECONDS, rank=0, world_size=1)
    return _loader(sampler, vocabulary, num_workers)


def _loader(sampler: CutSampler, vocabulary: Vocabulary, num_workers: int) -> StatefulDataLoader:
    with warnings.catch_warnings():
        # Of torchdata 0.11 under newer torch; its users can do nothing about it.
        warnings.filterwarnings("ignore", message=".*set_vital")
        return StatefulDataLoader(
            Utterances(vocabulary),
            sampler=sampler,
            batch_size=None,
            num_workers=num_workers,
            # Of its own: beginning an epoch draws from it, and a resumed one begins twice.
            generator=torch.Generator(),
        )
