"""Cuts to padded batches: length buckets, augmentation, a position that can be resumed.

Knows cuts and batches; nothing of frames, models or where a manifest and its recordings are.
"""

import signal
import warnings
import zlib
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from lhotse import CutSet, MonoCut
from lhotse.dataset import DynamicBucketingSampler, DynamicCutSampler, SimpleCutSampler
from lhotse.dataset.sampling.base import CutSampler
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul.data.batches import UtteranceDataset
from sorigeul.data.config import WHOLE_BATCH, DataConfig, ProcessShare
from sorigeul.data.manifests import (
    follow,
)
from sorigeul.sound import augmentation
from sorigeul.text.vocabulary import Vocabulary

_BUCKETS = 20
_BATCHES_A_BUCKET = 4
_EVALUATION_SECONDS = 120.0


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
            cut.custom["speed"] = speed = augmentation.draw_speed(draw)
            cut.duration *= 10 / speed
        return cut


def training_batches(
    cuts: CutSet,
    vocabulary: Vocabulary,
    config: DataConfig,
    seed: int,
    share: ProcessShare = WHOLE_BATCH,
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
    return _loader(sampler, share, UtteranceDataset(vocabulary, noise), config.num_workers)


def evaluation_batches(
    cuts: CutSet, vocabulary: Vocabulary, num_workers: int = 0, share: ProcessShare = WHOLE_BATCH
) -> StatefulDataLoader:
    """Every utterance once, the longest first, in batches of about two minutes of audio a process.

    Of several processes each reads its share.
    """
    ordered = cuts.to_eager().sort_by_duration(ascending=False)
    seconds = _EVALUATION_SECONDS * share.of
    sampler = SimpleCutSampler(ordered, max_duration=seconds, rank=0, world_size=1)
    return _loader(sampler, share, UtteranceDataset(vocabulary), num_workers)


def _loader(
    sampler: CutSampler, share: ProcessShare, utterances: UtteranceDataset, num_workers: int
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
