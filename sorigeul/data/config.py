"""Cuts to padded batches: length buckets, augmentation, a position that can be resumed.

Knows cuts and batches; nothing of frames, models or where a manifest and its recordings are.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from lhotse import CutSet

from sorigeul.base.errors import UserError
from sorigeul.sound import augmentation

ORDER_INDEPENDENT = frozenset({"audio_root", "noise_dir", "noise_share", "noise_low", "noise_high"})
"""settings that which utterances are in which batch does not depend on"""


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
class ProcessShare:
    """Which part of every batch a process reads: all of it, where it is alone."""

    rank: int = 0
    of: int = 1
    """processes in all"""

    def rows(self, cuts: CutSet) -> CutSet:
        """Its part of a batch of cuts."""
        return CutSet.from_cuts(islice(cuts, self.rank, None, self.of))


WHOLE_BATCH = ProcessShare()
