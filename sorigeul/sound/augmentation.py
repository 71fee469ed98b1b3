"""Speech as it might have been: faster or slower, with noise. Knows waveforms, no transcripts.

Every draw follows from a text alone, which names seed, epoch and utterance: so it is the same for
whichever process makes it, in an uninterrupted run as in a resumed one.
"""

import logging
import os
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
"""In tenths of the recording's own (Ko et al. 2015, Audio augmentation for speech recognition)."""
_KEPT = 3600 * SAMPLE_RATE  # samples of noise that stay decoded: 230 MB


def draw_speed(draw: str) -> int:
    """One of `SPEEDS`, each as likely."""
    return Random(f"{draw}/speed").choice(SPEEDS)


def change_speed(samples: Samples, tenths: int) -> Samples:
    """Samples (N,) at so many tenths of their speed (10 N / tenths,): as of a tape, pitch included.

    About 90 µs for a second of audio on one core.
    """
    if tenths == 10:
        return samples
    return np.asarray(soxr.resample(samples, tenths, 10, quality="HQ"), np.float32)


class Noise:
    """Recordings to mix into others, decoded once to see which of them are of use.

    The first hour stays decoded; of a longer collection, the rest is decoded as it is drawn.
    `share` of the utterances get noise, at a signal-to-noise ratio from `low` to `high` dB.

    Raises:
        UserError: if `folder` cannot be read or holds no recording that can be used.
    """

    def __init__(self, folder: Path, share: float, low: float, high: float) -> None:
        self.share, self.low, self.high = share, low, high
        self.paths: list[Path] = []
        self.unusable: list[str] = []
        """Files that are no recordings, or silent, and why."""
        self._decoded: dict[Path, Samples] = {}
        kept = 0
        found = _files(folder)
        with progress_bar("noise", len(found)) as advance:
            for path in found:
                advance(1, "")
                try:
                    samples = _of_unit_power(path)
                except AudioError as error:
                    self.unusable.append(str(error))
                    continue
                self.paths.append(path)
                if kept + len(samples) <= _KEPT:
                    self._decoded[path] = samples
                    kept += len(samples)
        if not self.paths:
            why = f"the first: {self.unusable[0]}" if found else "it is empty"
            raise UserError(f"noise_dir {folder}: none of its files is a recording of noise; {why}")
        if self.unusable:
            log.warning(
                "noise_dir %s: %d of %d files cannot be used; the first: %s",
                folder,
                len(self.unusable),
                len(found),
                self.unusable[0],
            )

    def mixed(self, samples: Samples, draw: str) -> Samples:
        """Samples (N,) with a drawn stretch of a drawn recording, or as they are.

        The ratio is that of the mean powers of the utterance and of the whole recording of noise:
        were it the stretch, the hiss of a quiet one would be raised to that of a loud one.
        """
        random = Random(f"{draw}/noise")
        if random.random() >= self.share:
            return samples
        path, place = random.choice(self.paths), random.random()
        noise = self._decoded.get(path)
        if noise is None:
            noise = _of_unit_power(path)
        size = len(samples)
        if len(noise) < size:
            noise = np.tile(noise, -(-size // len(noise)))
        start = int(place * (len(noise) - size + 1))
        level = np.std(samples) * 10 ** (-random.uniform(self.low, self.high) / 20)
        return np.asarray(samples + level * noise[start : start + size], np.float32)


def _of_unit_power(path: Path) -> Samples:
    samples = audio.load(path).samples
    centred = samples - samples.mean()
    return np.asarray(centred / centred.std(), np.float32)


def _files(folder: Path) -> list[Path]:
    """All files under a folder but hidden ones, in one order."""
    if not folder.is_dir():
        raise UserError(f"noise_dir {folder}: no such folder; give a folder of recordings of noise")

    def unreadable(error: OSError) -> None:
        raise UserError(
            f"noise_dir {error.filename}: cannot be read ({error.strerror}); check its permissions"
        ) from error

    return sorted(
        Path(place, name)
        for place, _, names in os.walk(folder, onerror=unreadable)
        for name in names
        if not name.startswith(".")
    )
