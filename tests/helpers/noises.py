"""A folder of noise recordings to mix into speech."""

from pathlib import Path

import numpy as np
import soundfile


def white_noise(folder: Path) -> Path:
    """Write white noise of 20 s and of 0.2 s, in two formats and two folders; return the folder."""
    (folder / "more").mkdir(parents=True)
    samples = np.random.default_rng(0).standard_normal(44_100 * 20) / 20
    soundfile.write(folder / "long.flac", samples, 44_100)
    soundfile.write(folder / "more" / "short.wav", samples[:1600] + 0.2, 8_000)
    return folder
