"""Settings of batches and of waveform augmentation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import (
    BATCH_SECONDS,
    COUNT_OR_NONE,
    PROCESSES,
    SHARE,
    Range,
    check_ranges,
)
from sorigeul.sound import augmentation
from sorigeul.sound.degradations import MAX_SILENCE

DECIBELS = Range(-100, 100)
_SHARES = (
    "noise_share",
    "rir_share",
    "silence_share",
    "colored_noise_share",
    "babble_share",
    "telephone_share",
    "codec_share",
    "level_share",
)
ORDER_INDEPENDENT = frozenset(
    {"audio_root", "noise_dir", "noise_low", "noise_high", *_SHARES} - {"silence_share"}
)
"""settings that do not change which utterances are in which batch"""


@dataclass(frozen=True)
class DataConfig:
    """How utterances become batches."""

    weights: Annotated[tuple[float, ...], Range(0, 10**6, above=True)] = ()
    """with several corpora, the share of each in the speech of an epoch, up to a factor: 0.7 0.3;
    without them an epoch reads each utterance once"""
    batch_size: Annotated[int, Range(1, 100_000)] = 8
    """mini-batch size"""
    batch_seconds: Annotated[float, BATCH_SECONDS] = 0.0
    """seconds of audio in a batch, instead of batch_size; includes padding if pack_by_length is on;
    0: batches of batch_size"""
    pack_by_length: bool = True
    """flag indication whether to pack batch by similar sequence lengths"""
    use_augment: bool = True
    """flag indication whether to use spec-augmentation or not"""
    augment_ratio: Annotated[float, Range(0, 100)] = 1.0
    """ratio of spec-augmentation applied data: number of masked copies added for each utterance"""
    mask_all: bool = False
    """apply spec-augmentation to the utterances themselves too, not only to the copies that
    augment_ratio adds; for long trainings"""
    plain_epochs: Annotated[int, COUNT_OR_NONE] = 0
    """number of first epochs without masks, speed changes, noise and scheduled sampling, so that
    the attention aligns sooner"""
    speed_perturbation: bool = False
    """play each utterance at 0.9, 1.0 or 1.1 of its speed, drawn anew in each epoch (Ko et al.
    2015). An epoch does not get longer: an utterance has one speed in it, and all three only over
    several epochs. If it gets too fast for CTC to align, only the speller learns from it"""
    noise_dir: str = ""
    """folder of noise recordings to mix in during training, in any audio format, preferably short;
    empty: no noise"""
    noise_share: Annotated[float, SHARE] = 0.5
    """share of the utterances that get noise, drawn anew in each epoch"""
    noise_low: Annotated[float, DECIBELS] = 5.0
    """lowest signal-to-noise ratio in dB; it is drawn evenly from here to noise_high"""
    noise_high: Annotated[float, DECIBELS] = 20.0
    """highest signal-to-noise ratio in dB"""
    rir_share: Annotated[float, SHARE] = 0.0
    """share of the utterances that sound as in a room, whose reverberation time is drawn from 0.1
    to 0.6 s; this and the following shares are drawn anew in each epoch, each by itself"""
    silence_share: Annotated[float, SHARE] = 0.0
    """share of the utterances that get silence before and after, as faint as that of a room"""
    silence_seconds: Annotated[float, Range(0, MAX_SILENCE)] = 3.0
    """the longest such silence, before and after together; it is drawn evenly from 0 to here"""
    colored_noise_share: Annotated[float, SHARE] = 0.0
    """share of the utterances that get white, pink or brown noise or mains hum, at a ratio from
    noise_low to noise_high; needs no recordings"""
    babble_share: Annotated[float, SHARE] = 0.0
    """share of the utterances that get six others of the training data at once behind them, at a
    ratio from noise_low to noise_high"""
    telephone_share: Annotated[float, SHARE] = 0.0
    """share of the utterances that go through a telephone line: 300 to 3400 Hz, mu-law"""
    codec_share: Annotated[float, SHARE] = 0.0
    """share of the utterances that are encoded as mp3 (16 to 64 kbit/s) or opus (8 to 48 kbit/s)
    and decoded; takes about 10 ms for a second of audio"""
    level_share: Annotated[float, SHARE] = 0.0
    """share of the utterances that become quieter, by up to 40 dB, in the steps of 16 bits"""
    num_workers: Annotated[int, PROCESSES] = 0
    """processes that decode audio; 0 decodes in the training process"""
    audio_root: str = ""
    """folder that holds the recordings now, if they have moved since the corpus was prepared"""

    def __post_init__(self) -> None:
        check_ranges(self)
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

    def degradation_shares(self) -> augmentation.DegradationShares:
        """What is to be drawn for each utterance, besides speed and recorded noise."""
        return augmentation.DegradationShares(
            rir=self.rir_share,
            silence=self.silence_share,
            colored_noise=self.colored_noise_share,
            babble=self.babble_share,
            telephone=self.telephone_share,
            codec=self.codec_share,
            level=self.level_share,
            silence_seconds=self.silence_seconds,
            noise_low=self.noise_low,
            noise_high=self.noise_high,
        )

    @property
    def items_per_utterance(self) -> float:
        """Items of an epoch for each utterance: the utterance and its augmented copies."""
        return 1 + (self.augment_ratio if self.use_augment else 0)
