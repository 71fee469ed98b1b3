"""Sampling of cuts for training and evaluation: length buckets, random draws, resumable loaders.

Does not know how audio is loaded, or where a manifest and its recordings are.
"""

import signal
import warnings
import zlib
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch
from lhotse import CutSet, MonoCut
from lhotse.dataset import DynamicBucketingSampler, DynamicCutSampler, SimpleCutSampler
from lhotse.dataset.sampling.base import CutSampler
from torchdata.stateful_dataloader import StatefulDataLoader

from sorigeul.base.capacity import refuse_too_many_processes
from sorigeul.base.stopping import STOP_SIGNALS, is_ignored_hangup
from sorigeul.data.babble import load_voices
from sorigeul.data.batches import UtteranceDataset
from sorigeul.data.config import DataConfig
from sorigeul.data.manifests import follow_epochs
from sorigeul.sound import augmentation
from sorigeul.sound.degradations import Degradation
from sorigeul.text.vocabulary import Vocabulary

_MAX_BUCKETS = 20
_BATCHES_PER_BUCKET = 4
_EVALUATION_BATCH_SECONDS = 120.0


@dataclass(frozen=True)
class ProcessShare:
    """Which share of every batch a process loads; by default all of it, as the only process."""

    rank: int = 0
    world_size: int = 1

    def rows(self, cuts: CutSet) -> CutSet:
        """The cuts of a batch that the process loads."""
        return CutSet.from_cuts(islice(cuts, self.rank, None, self.world_size))


WHOLE_BATCH = ProcessShare()


def with_augmented_copies(cuts: CutSet, ratio: float) -> CutSet:
    """The cuts, and `ratio` copies of each, marked for SpecAugment (0.5: of every second cut).

    This is what the seed means by `augment_ratio`: the data grows, the plain recordings stay. A
    fraction chooses cuts by their ids alone, so the same ones have a copy in every epoch.
    """
    streams = [cuts]
    copy_number = 1
    while ratio > 0:
        copies = cuts.filter(partial(_has_copy, ratio)).map(partial(_make_copy, copy_number))
        streams.append(copies)
        ratio, copy_number = ratio - 1, copy_number + 1
    # Mixed, not concatenated, so that a bucket holds cuts and copies side by side.
    return cuts if len(streams) == 1 else CutSet.mux(*streams, seed=0)


def _has_copy(ratio: float, cut: MonoCut) -> bool:
    return zlib.crc32(cut.id.encode()) < ratio * 2**32


def _make_copy(copy_number: int, cut: MonoCut) -> MonoCut:
    custom = {**(cut.custom or {}), "augmented": True}
    return replace(cut, id=f"{cut.id}#{copy_number}", custom=custom)


class _AugmentationDraws:
    """Adds to each cut the random draws of its augmentation in the current epoch of the sampler.

    The duration of a cut becomes that at the speed drawn and with the silence drawn, so that
    buckets and batches are filled by the audio that is loaded. While a sampler is being
    constructed, it estimates its buckets by the draws of the first epoch. In plain epochs nothing
    is drawn, and copies are not masked.
    """

    def __init__(self, seed: int, config: DataConfig) -> None:
        self.seed, self.config, self.shares = seed, config, config.degradation_shares()
        self.sampler: CutSampler | None = None

    def __call__(self, cut: MonoCut) -> MonoCut:
        epoch = 0 if self.sampler is None else self.sampler.epoch
        if epoch < self.config.plain_epochs:
            return replace(cut, custom={**(cut.custom or {}), "augmented": False})
        draw_key = f"{self.seed}/{epoch}/{cut.id}"
        cut = replace(cut, custom={**(cut.custom or {}), "draw_key": draw_key})
        if self.config.use_augment and self.config.mask_all:
            cut.custom["augmented"] = True
        if self.config.speed_perturbation:
            cut.custom["speed"] = speed = augmentation.draw_speed(draw_key)
            cut.duration *= 10 / speed
        if place := self.shares.draw_place(draw_key):
            cut.custom["place"] = place
            cut.duration += Degradation.parse(place).added_seconds
        if channel := self.shares.draw_channel(draw_key):
            cut.custom["channel"] = channel
        return cut


def training_batches(
    cuts: CutSet,
    vocabulary: Vocabulary,
    config: DataConfig,
    seed: int,
    share: ProcessShare = WHOLE_BATCH,
) -> StatefulDataLoader:
    """A loader of shuffled batches; ``.sampler.set_epoch(n)`` sets the order of epoch n.

    Its `state_dict` and `load_state_dict` save and restore the position within the epoch, including
    prefetched batches. N processes with batches of size B draw the same batches as one process with
    size N B, and each loads its share of every batch. So all have the same number of batches and
    the same position; the share of a process in the last batches may be empty.
    """
    manifest_cuts = cuts
    if config.use_augment:
        cuts = with_augmented_copies(cuts, config.augment_ratio)
    noise = config.noise()
    voices = load_voices(manifest_cuts, seed) if config.babble_share else []
    draws = _AugmentationDraws(seed, config)
    if (
        config.speed_perturbation
        or config.plain_epochs
        or config.mask_all
        or noise is not None
        or config.degradation_shares().any
    ):
        cuts = cuts.map(draws)
    batch_limit: dict[str, Any] = (
        {"max_duration": config.batch_seconds * share.world_size}
        if config.batch_seconds
        else {"max_cuts": config.batch_size * share.world_size}
    )
    options: dict[str, Any] = {
        **batch_limit,
        "shuffle": True,
        "seed": seed,
        # Not those of the process: each draws whole batches, and takes its share in `_loader`.
        "rank": 0,
        "world_size": 1,
    }
    # Every bucket ends the epoch with a batch that is not full: few utterances get few buckets.
    durations = [cut.duration for cut in islice(cuts, 2000)]
    cuts_per_batch = share.world_size * (
        config.batch_seconds * len(durations) / sum(durations) or config.batch_size
    )
    buckets = int(len(durations) / cuts_per_batch / _BATCHES_PER_BUCKET)
    buckets = min(_MAX_BUCKETS, max(2, buckets))
    sampler = (
        DynamicBucketingSampler(cuts, num_buckets=buckets, **options)
        if config.pack_by_length and len(durations) > 1
        else DynamicCutSampler(cuts, **options)
    )
    follow_epochs(manifest_cuts, sampler)
    draws.sampler = sampler
    return _loader(sampler, share, UtteranceDataset(vocabulary, noise, voices), config.num_workers)


def evaluation_batches(
    cuts: CutSet, vocabulary: Vocabulary, num_workers: int = 0, share: ProcessShare = WHOLE_BATCH
) -> StatefulDataLoader:
    """A loader of every utterance once, the longest first, in batches of two minutes per process.

    The two minutes include padding. A process loads its `share` of every batch.
    """
    ordered = cuts.to_eager().sort_by_duration(ascending=False)
    seconds = _EVALUATION_BATCH_SECONDS * share.world_size
    sampler = SimpleCutSampler(ordered, max_duration=seconds, rank=0, world_size=1)
    return _loader(sampler, share, UtteranceDataset(vocabulary), num_workers)


def _loader(
    sampler: CutSampler, share: ProcessShare, dataset: UtteranceDataset, num_workers: int
) -> StatefulDataLoader:
    refuse_too_many_processes("num_workers", num_workers)
    # The cuts of other processes are dropped in the sampler, before they are sent to a worker: with
    # 64 processes, unpickling them in the worker would take longer than decoding its own share.
    sampler.map(share.rows)
    with warnings.catch_warnings():
        # torchdata 0.11 warns about this under newer torch; users can do nothing about it.
        warnings.filterwarnings("ignore", message=".*set_vital")
        return StatefulDataLoader(
            dataset,
            sampler=sampler,
            batch_size=None,
            num_workers=num_workers,
            worker_init_fn=_ignore_first_stop_signal,
            # Its own generator, not the global one: each start of an epoch draws from it, and a
            # resumed epoch is started twice.
            generator=torch.Generator(),
        )


def _ignore_first_stop_signal(_: int) -> None:
    """Keep a worker running when torchrun, Slurm or a terminal signals all processes of a run.

    The run ends its workers itself, after its checkpoint. A second signal ends them at once.
    """

    def ignore_once(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)

    for number in STOP_SIGNALS:
        if not is_ignored_hangup(number):
            signal.signal(number, ignore_once)
