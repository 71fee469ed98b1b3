"""Augmentation of waveforms: speed perturbation, additive noise and drawn degradations.

The order is: speed, room and silence around the utterance, recorded noise, other noise, telephone
and codec, level. So noise goes on in the silence, and the silence is as loud as the speech allows.

Each random choice depends only on a string, the draw key, made of seed, epoch and utterance id. So
it does not depend on the process that makes it, or on whether the run was interrupted.
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import soxr

from sorigeul.base.errors import UserError
from sorigeul.base.progress import progress_bar
from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, Samples

log = logging.getLogger(__name__)

SPEEDS = (9, 10, 11)
"""Speeds in tenths of the original (Ko et al. 2015, Audio augmentation for speech recognition)."""
RT60 = (0.1, 0.6)
"""seconds of reverberation in the rooms that are drawn: from a car to a large meeting room"""
LEVELS = (-40.0, 0.0)
"""dB of the gain that is drawn"""
CODECS = (
    *(f"mp3:{kilobits}" for kilobits in (16, 24, 32, 48, 64)),
    *(f"opus:{kilobits}" for kilobits in (8, 12, 16, 24, 32, 48)),
)
COLORED_NOISES = ("noise", "white", "brown", "hum")
_MAX_DECODED_SAMPLES = 3600 * SAMPLE_RATE  # of noise that is kept in memory: one hour, 230 MB


def draw_speed(draw_key: str) -> int:
    """Draw one of `SPEEDS` with equal probability."""
    return Random(f"{draw_key}/speed").choice(SPEEDS)


def change_speed(samples: Samples, tenths: int) -> Samples:
    """Samples (N,) -> (10 N / tenths,) at ``tenths`` / 10 of the speed; the pitch changes too.

    Takes about 90 µs for a second of audio on one core.
    """
    if tenths == 10:
        return samples
    return np.asarray(soxr.resample(samples, tenths, 10, quality="HQ"), np.float32)


@dataclass(frozen=True)
class DegradationShares:
    """Shares of the utterances that get each degradation, and the ranges that are not fixed."""

    rir: float
    silence: float
    colored_noise: float
    babble: float
    telephone: float
    codec: float
    level: float
    silence_seconds: float
    """the longest silence in all"""
    noise_low: float
    """dB, lowest signal-to-noise ratio of coloured noise and babble"""
    noise_high: float
    """dB"""

    @property
    def any(self) -> bool:
        """Whether there is anything to draw."""
        channel = (self.colored_noise, self.babble, self.telephone, self.codec, self.level)
        return any((self.rir, self.silence, *channel))

    def draw_place(self, draw_key: str) -> str:
        """Degradations that come before recorded noise, in the form of `Degradation.parse`.

        Empty if none is drawn. The same holds for `draw_channel`.
        """
        drawn = []
        if random := _drawn(self.rir, draw_key, "rir"):
            drawn.append(f"rir:{random.uniform(*RT60):.2f}")
        if random := _drawn(self.silence, draw_key, "silence"):
            drawn.append(f"silence:{random.uniform(0, self.silence_seconds):.2f}")
        return "+".join(drawn)

    def draw_channel(self, draw_key: str) -> str:
        """Degradations that come after recorded noise."""
        drawn = []
        if random := _drawn(self.colored_noise, draw_key, "colored_noise"):
            drawn.append(f"{random.choice(COLORED_NOISES)}:{self._draw_ratio(random)}")
        if random := _drawn(self.babble, draw_key, "babble"):
            drawn.append(f"babble:{self._draw_ratio(random)}")
        if _drawn(self.telephone, draw_key, "telephone"):
            drawn.append("telephone")
        if random := _drawn(self.codec, draw_key, "codec"):
            drawn.append(random.choice(CODECS))
        if random := _drawn(self.level, draw_key, "level"):
            drawn.append(f"level:{random.uniform(*LEVELS):.2f}")
        return "+".join(drawn)

    def _draw_ratio(self, random: Random) -> str:
        return f"{random.uniform(self.noise_low, self.noise_high):.2f}"


def _drawn(share: float, draw_key: str, name: str) -> Random | None:
    """The generator of a degradation's further draws, if the utterance is one of its share."""
    if not share:  # making a generator takes 10 µs
        return None
    random = Random(f"{draw_key}/{name}")
    return random if random.random() < share else None


class Noise:
    """Recordings of noise to mix into utterances.

    All recordings are decoded once to find those that can be used. The first hour stays in memory;
    the rest of a longer collection is decoded again whenever it is drawn. A `share` of the
    utterances gets noise, at a signal-to-noise ratio drawn uniformly from `low` to `high` dB.

    Raises:
        UserError: if `folder` cannot be read or contains no recording that can be used.
    """

    def __init__(self, folder: Path, share: float, low: float, high: float) -> None:
        self.share, self.low, self.high = share, low, high
        self.paths: list[Path] = []
        self.unusable: list[str] = []
        """messages for the files that are not recordings, or are silent"""
        self._decoded: dict[Path, Samples] = {}
        decoded_samples = 0
        files = _list_files(folder)
        with progress_bar("noise", len(files)) as advance:
            for path in files:
                advance(1, "")
                try:
                    samples = _load_with_unit_power(path)
                except AudioError as error:
                    self.unusable.append(str(error))
                    continue
                self.paths.append(path)
                if decoded_samples + len(samples) <= _MAX_DECODED_SAMPLES:
                    self._decoded[path] = samples
                    decoded_samples += len(samples)
        if not self.paths:
            reason = f"the first: {self.unusable[0]}" if files else "it is empty"
            raise UserError(
                f"noise_dir {folder}: none of its files is a recording of noise; {reason}"
            )
        if self.unusable:
            log.warning(
                "noise_dir %s: %d of %d files cannot be used; the first: %s",
                folder,
                len(self.unusable),
                len(files),
                self.unusable[0],
            )

    def mixed(self, samples: Samples, draw_key: str) -> Samples:
        """Return samples (N,) with a random section of a random recording added, or unchanged.

        The signal-to-noise ratio compares the mean powers of the utterance and of the whole noise
        recording. With the power of the section, a quiet one would be amplified to the level of a
        loud one.
        """
        random = Random(f"{draw_key}/noise")
        if random.random() >= self.share:
            return samples
        path, position = random.choice(self.paths), random.random()
        noise = self._decoded.get(path)
        if noise is None:
            noise = _load_with_unit_power(path)
        size = len(samples)
        if len(noise) < size:
            noise = np.tile(noise, -(-size // len(noise)))
        start = int(position * (len(noise) - size + 1))
        level = np.std(samples) * 10 ** (-random.uniform(self.low, self.high) / 20)
        return np.asarray(samples + level * noise[start : start + size], np.float32)


def _load_with_unit_power(path: Path) -> Samples:
    """Samples (N,) of a recording, with mean 0 and mean power 1."""
    samples = audio.load(path).samples
    centred = samples - samples.mean()
    return np.asarray(centred / centred.std(), np.float32)


def _list_files(folder: Path) -> list[Path]:
    """All files under a folder except hidden ones, sorted."""
    if not folder.is_dir():
        raise UserError(f"noise_dir {folder}: no such folder; give a folder of recordings of noise")

    def unreadable(error: OSError) -> None:
        raise UserError(
            f"noise_dir {error.filename}: cannot be read ({error.strerror}); check its permissions"
        ) from error

    return sorted(
        Path(directory, name)
        for directory, _, names in os.walk(folder, onerror=unreadable)
        for name in names
        if not name.startswith(".")
    )
