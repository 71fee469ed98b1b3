"""Finds what is wrong with the sound of a recording that has been decoded.

Does not know about corpora, transcripts or reports.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sorigeul.sound.audio import Recording
from sorigeul.sound.recording_quality import RecordingQuality

KINDS = {
    "repaired": "were cut or repaired to be read",
    "no_speech": "hold silence or steady noise",
    "clipped": "are clipped",
    "named_rate": "have another sampling rate than their names say",
    "narrow_band": "hold nothing above 4 kHz, though their sampling rates say so",
}
"""what each kind of fault means, as a sentence about several recordings"""

_WIDE_BAND = 16_000  # Hz; at a lower rate there is not much above 4 kHz anyway
# A rate in the name of a file or its folder: 8kHz, 44.1 kHz, 16000Hz; or 16k, where that cannot be
# the bit rate of a compressed format.
_RATE_IN_HERTZ = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?) ?(k?)hz(?![a-z])", re.IGNORECASE)
_RATE_IN_THOUSANDS = re.compile(r"(?<![\d.a-z])(8|11|16|22|32|44(?:\.1)?|48)k(?![a-z\d])", re.I)
_BIT_RATES = {".aac", ".amr", ".m4a", ".mp3", ".mp4", ".ogg", ".opus", ".webm", ".wma"}
_SAME_RATE = 0.05  # by which a rate and its name may differ: 22k is 22,050 Hz


class SoundFault(NamedTuple):
    """A fault of a recording that can be decoded."""

    kind: str
    """one of `KINDS`"""
    reason: str
    """what was measured"""


def sound_faults(recording: Recording, path: Path) -> tuple[SoundFault, ...]:
    """Return what is wrong with a recording; ``path`` is where it came from."""
    quality = RecordingQuality.of(recording.samples)
    return tuple(_faults(path, recording, quality))


def _faults(path: Path, recording: Recording, quality: RecordingQuality) -> Iterator[SoundFault]:
    rate = recording.rate
    if recording.repairs:
        yield SoundFault("repaired", "; ".join(recording.repairs))
    named = named_rate(path)
    if named is not None and abs(named - rate) > _SAME_RATE * rate:
        yield SoundFault("named_rate", f"its name says {named:,.0f} Hz, and it has {rate:,} Hz")
    if quality.has_no_speech:
        reason = (
            f"at most {quality.peak:.0f} dB of full scale, and {quality.dynamic_range:.1f} dB from "
            "quiet to loud, where speech has 10 and more"
        )
        yield SoundFault("no_speech", reason)
        return  # what else could be said is of noise
    if quality.is_clipped:
        reason = f"{100 * quality.at_peak:.1f} % of its samples are as large as the largest"
        yield SoundFault("clipped", reason)
    if rate >= _WIDE_BAND and quality.is_narrowband:
        reason = f"nothing above 4 kHz at {rate:,} Hz: it was recorded at 8,000 Hz"
        yield SoundFault("narrow_band", reason)


def named_rate(path: Path) -> float | None:
    """Return the sampling rate in Hz that a file's name, or else its folder's, tells."""
    for name in (path.stem, path.parent.name):
        if match := _RATE_IN_HERTZ.search(name):
            return float(match[1]) * (1000 if match[2] else 1)
        if path.suffix.lower() not in _BIT_RATES and (match := _RATE_IN_THOUSANDS.search(name)):
            return float(match[1]) * 1000
    return None
