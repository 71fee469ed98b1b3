"""Settings of batches and of waveform augmentation."""

from dataclasses import dataclass
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.sound import augmentation
from sorigeul.sound.degradations import MAX_SILENCE

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
    mask_all: bool = False
    """apply spec-augmentation to the utterances themselves too, not only to the copies that
    augment_ratio adds; for long trainings"""
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
    rir_share: float = 0.0
    """share of the utterances that sound as in a room, whose reverberation time is drawn from 0.1
    to 0.6 s; this and the following shares are drawn anew in each epoch, each by itself"""
    silence_share: float = 0.0
    """share of the utterances that get silence before and after, as faint as that of a room"""
    silence_seconds: float = 3.0
    """the longest such silence, before and after together; it is drawn evenly from 0 to here"""
    colored_noise_share: float = 0.0
    """share of the utterances that get white, pink or brown noise or mains hum, at a ratio from
    noise_low to noise_high; needs no recordings"""
    babble_share: float = 0.0
    """share of the utterances that get six others of the training data at once behind them, at a
    ratio from noise_low to noise_high"""
    telephone_share: float = 0.0
    """share of the utterances that go through a telephone line: 300 to 3400 Hz, mu-law"""
    codec_share: float = 0.0
    """share of the utterances that are encoded as mp3 (16 to 64 kbit/s) or opus (8 to 48 kbit/s)
    and decoded; takes about 10 ms for a second of audio"""
    level_share: float = 0.0
    """share of the utterances that become quieter, by up to 40 dB, in the steps of 16 bits"""
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
        for setting in _SHARES:
            if not 0 <= (share := getattr(self, setting)) <= 1:
                raise UserError(f"{setting} is {share:g}, but must be between 0 and 1")
        if not 0 <= self.silence_seconds <= MAX_SILENCE:
            raise UserError(
                f"silence_seconds is {self.silence_seconds:g}, but must be between 0 and "
                f"{MAX_SILENCE:g}"
            )
        if not self.noise_low <= self.noise_high:
            raise UserError(
                f"noise_low is {self.noise_low:g}, but must be at most noise_high, which is "
                f"{self.noise_high:g}"
            )
        for setting in ("noise_low", "noise_high"):
            if not -100 <= (ratio := getattr(self, setting)) <= 100:
                raise UserError(f"{setting} is {ratio:g}, but must be between -100 and 100 dB")
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
