"""What is measured of a recording: level, clipping, silence around the speech, noise behind it."""

from typing import NamedTuple

import numpy as np
from lhotse import MonoCut

from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.sound.audio import AudioError
from sorigeul.sound.recording_quality import RecordingQuality
from sorigeul.sound.signal_to_noise import estimate_signal_to_noise
from sorigeul.sound.surrounding_silence import surrounding_silence

_FLOOR = 1e-6  # of the magnitude: -120 dB for digital silence


class RecordingMeasures(NamedTuple):
    """Of one utterance."""

    level: float
    """of the whole, in dB of full scale"""
    clipped: bool
    """as `RecordingQuality.is_clipped` says"""
    silence: float
    """seconds without speech before and after it, together"""
    signal_to_noise: float
    """dB, estimated from the levels of short frames"""


def measure_recording(cut: MonoCut) -> RecordingMeasures | str:
    """Measure the recording of a cut, or return why it cannot be read."""
    try:
        samples = load_cut_audio(cut)
    except AudioError as error:
        return str(error)
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return RecordingMeasures(
        level=float(10 * np.log10(power + _FLOOR**2)),
        clipped=len(samples) > 0 and RecordingQuality.of(samples).is_clipped,
        silence=sum(surrounding_silence(samples)),
        signal_to_noise=estimate_signal_to_noise(samples),
    )
