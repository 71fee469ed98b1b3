"""Settings of batches and of waveform augmentation."""

from dataclasses import dataclass
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.sound import augmentation

ORDER_INDEPENDENT = frozenset({"audio_root", "noise_dir", "noise_share", "noise_low", "noise_high"})
"""settings that do not change which utterances are in which batch"""


@dataclass(frozen=True)
class DataConfig:
    """How utterances become batches."""

    batch_size: int = 8
    """mini-batch size"""
    batch_seconds: float = 0.0
    """seconds of audio in a batch, instead of batch_size; includes padding if pack_by_length is on;
    0: batches of batch_size"""
    pack_by_length: bool = True
    """flag indication whether to pack batch by similar sequence lengths"""
    use_augment: bool = True
    """flag indication whether to use spec-augmentation or not"""
    augment_ratio: float = 1.0
    """ratio of spec-augmentation applied data: number of masked copies added for each utterance"""
    plain_epochs: int = 0
    """number of first epochs without masks, speed changes, noise and scheduled sampling, so that
    the attention aligns sooner"""
    speed_perturbation: bool = False
    """play each utterance at 0.9, 1.0 or 1.1 of its speed, drawn anew in each epoch (Ko et al.
    2015). An epoch does not get longer: an utterance has one speed in it, and all three only over
    several epochs. If it gets too fast for CTC to align, only the speller learns from it"""
    noise_dir: str = ""
    """folder of noise recordings to mix in during training, in any audio format, preferably short;
    empty: no noise"""
    noise_share: float = 0.5
    """share of the utterances that get noise, drawn anew in each epoch"""
    noise_low: float = 5.0
    """lowest signal-to-noise ratio in dB; it is drawn evenly from here to noise_high"""
    noise_high: float = 20.0
    """highest signal-to-noise ratio in dB"""
    num_workers: int = 0
    """processes that decode audio; 0 decodes in the training process"""
    audio_root: str = ""
    """folder that holds the recordings now, if they have moved since the corpus was prepared"""

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
        # Absolute, since a run may be resumed in another working directory.
        for setting in ("audio_root", "noise_dir"):
            if folder := getattr(self, setting):
                object.__setattr__(self, setting, str(Path(folder).absolute()))

    def noise(self) -> augmentation.Noise | None:
        """The decoded recordings of `noise_dir`; None if no noise is to be mixed in."""
        if not self.noise_dir or not self.noise_share:
            return None
        return augmentation.Noise(
            Path(self.noise_dir), self.noise_share, self.noise_low, self.noise_high
        )

    @property
    def items_per_utterance(self) -> float:
        """Items of an epoch for each utterance: the utterance and its augmented copies."""
        return 1 + (self.augment_ratio if self.use_augment else 0)
