"""Cuts to padded batches: length buckets, augmentation, a position that can be resumed.

Knows cuts and batches; nothing of frames, models or where a manifest and its recordings are.
"""

import math
import signal
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lhotse import CutSet, MonoCut
from lhotse.dataset import DynamicBucketingSampler, DynamicCutSampler, SimpleCutSampler
from lhotse.dataset.sampling.base import CutSampler
from torch import Tensor
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul import augmentation
from sorigeul.audio import SAMPLE_RATE, AudioError, Samples
from sorigeul.errors import UserError
from sorigeul.manifests import (
    follow,
    infeasible,
    manifest,
    normalizer,
    open_manifest,
    required_manifest,
    sound,
    survey,
    text,
)
from sorigeul.vocabulary import Vocabulary

__all__ = [
    "Batch",
    "DataConfig",
    "Failure",
    "Share",
    "Utterances",
    "evaluation_batches",
    "in_groups",
    "infeasible",
    "manifest",
    "normalizer",
    "open_manifest",
    "required_manifest",
    "survey",
    "training_batches",
]

OF_NO_ORDER = frozenset({"audio_root", "noise_dir", "noise_share", "noise_low", "noise_high"})
"""settings that which utterances are in which batch does not depend on"""
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
    plain_epochs: int = 0
    """epochs at first in which no copy is masked, no speed changed, no noise mixed in and no guess
    of the speller's own read, so that an alignment comes sooner"""
    speed_perturbation: bool = False
    """hear each utterance at 0.9, 1.0 or 1.1 of its speed, drawn anew in each epoch (Ko et al.
    2015); an epoch stays as long, so all speeds come up only over several. Too fast for CTC to
    align, an utterance is left to the speller in that epoch"""
    noise_dir: str = ""
    """folder of recordings of noise to mix in, of any audio format, best short; not in evaluation;
    none: no noise"""
    noise_share: float = 0.5
    """share of the utterances that get noise, drawn anew in each epoch"""
    noise_low: float = 5.0
    """lowest signal-to-noise ratio in dB; it is drawn evenly from here to noise_high"""
    noise_high: float = 20.0
    """highest signal-to-noise ratio in dB"""
    num_workers: int = 0
    """processes that decode audio; 0 decodes in the training process"""
    audio_root: str = ""
    """folder that holds the recordings now, where they have moved since the corpus was prepared"""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size}, but must be at least 1")
        if self.batch_seconds < 0:
            raise UserError(f"batch_seconds is {self.batch_seconds:g}, but must not be negative")
        if self.augment_ratio < 0:
            raise UserError(f"augment_ratio is {self.augment_ratio:g}, but must not be negative")
        if self.plain_epochs < 0:
            raise UserError(f"plain_epochs is {self.plain_epochs}, but must not be negative")
        if self.num_workers < 0:
            raise UserError(f"num_workers is {self.num_workers}, but must not be negative")
        if not 0 <= self.noise_share <= 1:
            raise UserError(f"noise_share is {self.noise_share:g}, but must be between 0 and 1")
        if not self.noise_low <= self.noise_high:
            raise UserError(
                f"noise_low is {self.noise_low:g}, but must be at most noise_high, which is "
                f"{self.noise_high:g}"
            )
        for folder in ("audio_root", "noise_dir"):  # a run may go on in another working directory
            if name := getattr(self, folder):
                object.__setattr__(self, folder, str(Path(name).absolute()))

    def noise(self) -> augmentation.Noise | None:
        """The recordings of `noise_dir`, decoded; none where there is none, or no share."""
        if not self.noise_dir or not self.noise_share:
            return None
        return augmentation.Noise(
            Path(self.noise_dir), self.noise_share, self.noise_low, self.noise_high
        )

    @property
    def copies(self) -> float:
        """Items an epoch holds for each utterance: itself and its augmented copies."""
        return 1 + (self.augment_ratio if self.use_augment else 0)


@dataclass(frozen=True)
class Share:
    """Which part of every batch a process reads: all of it, where it is alone."""

    rank: int = 0
    of: int = 1
    """processes in all"""

    def rows(self, cuts: CutSet) -> CutSet:
        """Its part of a batch of cuts."""
        return CutSet.from_cuts(islice(cuts, self.rank, None, self.of))


ALL = Share()


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


class Utterances(torch.utils.data.Dataset[Batch]):
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
            augmented=torch.tensor([_is_augmented(cut) for cut in kept], dtype=torch.bool),
            failures=failures,
        )

    def _heard(self, cut: MonoCut) -> Samples:
        """The sound of a cut, changed as was drawn for it."""
        samples, drawn = sound(cut), cut.custom or {}
        samples = augmentation.at_speed(samples, drawn.get("speed", 10))
        if self.noise is None or "draw" not in drawn:
            return samples
        return self.noise.mixed(samples, drawn["draw"])


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


class _Draws:
    """Marks cuts with what is drawn for them in the epoch of the sampler that reads them.

    Their durations are those at the speed drawn, so that buckets and batches hold what is heard.
    The sampler, while it is being made, finds its buckets by the draws of the first epoch. In plain
    epochs nothing is drawn, and copies stay unmasked.
    """

    def __init__(self, seed: int, config: DataConfig) -> None:
        self.seed, self.config = seed, config
        self.sampler: CutSampler | None = None

    def __call__(self, cut: MonoCut) -> MonoCut:
        epoch = 0 if self.sampler is None else self.sampler.epoch
        if epoch < self.config.plain_epochs:
            return replace(cut, custom={**(cut.custom or {}), "augmented": False})
        draw = f"{self.seed}/{epoch}/{cut.id}"
        cut = replace(cut, custom={**(cut.custom or {}), "draw": draw})
        if self.config.speed_perturbation:
            cut.custom["speed"] = speed = augmentation.drawn_speed(draw)
            cut.duration *= 10 / speed
        return cut


def training_batches(
    cuts: CutSet, vocabulary: Vocabulary, config: DataConfig, seed: int, share: Share = ALL
) -> StatefulDataLoader:
    """Shuffled batches without end marks; ``.sampler.set_epoch(n)`` gives each epoch its order.

    `state_dict` and `load_state_dict` hold the position within the epoch, prefetched batches
    included. N processes with batches of B share out what one with batches of N B would draw: all
    have as many batches, and all the same position, though a share of the last ones may be empty.
    """
    read = cuts
    if config.use_augment:
        cuts = with_augmented_copies(cuts, config.augment_ratio)
    noise = config.noise()
    draws = _Draws(seed, config)
    if config.speed_perturbation or config.plain_epochs or noise is not None:
        cuts = cuts.map(draws)
    size: dict[str, Any] = (
        {"max_duration": config.batch_seconds * share.of}
        if config.batch_seconds
        else {"max_cuts": config.batch_size * share.of}
    )
    shared: dict[str, Any] = {**size, "shuffle": True, "seed": seed, "rank": 0, "world_size": 1}
    # Every bucket ends the epoch with a batch that is not full: few utterances get few buckets.
    some = [cut.duration for cut in islice(cuts, 2000)]
    batch = share.of * (config.batch_seconds * len(some) / sum(some) or config.batch_size)
    buckets = min(_BUCKETS, max(2, int(len(some) / batch / _BATCHES_A_BUCKET)))
    sampler = (
        DynamicBucketingSampler(cuts, num_buckets=buckets, **shared)
        if config.pack_by_length and len(some) > 1
        else DynamicCutSampler(cuts, **shared)
    )
    follow(read, sampler)
    draws.sampler = sampler
    return _loader(sampler, share, Utterances(vocabulary, noise), config.num_workers)


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


def evaluation_batches(
    cuts: CutSet, vocabulary: Vocabulary, num_workers: int = 0, share: Share = ALL
) -> StatefulDataLoader:
    """Every utterance once, the longest first, in batches of about two minutes of audio a process.

    Of several processes each reads its share.
    """
    ordered = cuts.to_eager().sort_by_duration(ascending=False)
    seconds = _EVALUATION_SECONDS * share.of
    sampler = SimpleCutSampler(ordered, max_duration=seconds, rank=0, world_size=1)
    return _loader(sampler, share, Utterances(vocabulary), num_workers)


def _loader(
    sampler: CutSampler, share: Share, utterances: Utterances, num_workers: int
) -> StatefulDataLoader:
    # Each process draws the same sets and decodes its share of every one. The rest is taken off
    # before a worker has to unpack it: of 64 processes, that would take longer than decoding.
    sampler.map(share.rows)
    with warnings.catch_warnings():
        # Of torchdata 0.11 under newer torch; its users can do nothing about it.
        warnings.filterwarnings("ignore", message=".*set_vital")
        return StatefulDataLoader(
            utterances,
            sampler=sampler,
            batch_size=None,
            num_workers=num_workers,
            worker_init_fn=_outlive_a_stop_request,
            # Of its own: beginning an epoch draws from it, and a resumed one begins twice.
            generator=torch.Generator(),
        )


def _outlive_a_stop_request(_: int) -> None:
    """Keep a worker at work when torchrun, Slurm or a terminal signals all processes of a run.

    The run ends its workers itself, after its checkpoint. A second signal ends them at once.
    """

    def outlive(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, outlive)
