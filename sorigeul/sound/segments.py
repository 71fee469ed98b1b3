"""Speech segments of long recordings, found by Silero VAD (voice activity detection)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sorigeul.sound.audio import SAMPLE_RATE, Recording

WHOLE_SECONDS = 20.0
"""recordings up to this length are one segment, like the utterances in training"""
_MAX_SEGMENT_SECONDS = 15.0
"""longest speech segment of a longer recording"""


@dataclass(frozen=True)
class SegmentedRecording:
    """A recording and its speech segments."""

    recording: Recording
    spans: list[tuple[int, int]]
    """first sample of each segment, and the one after its last"""

    @classmethod
    def from_recording(cls, recording: Recording) -> "SegmentedRecording":
        """Find the speech segments of a recording."""
        return cls(recording, speech_segments(torch.from_numpy(recording.samples)))


def speech_segments(samples: Tensor) -> list[tuple[int, int]]:
    """Return the speech segments of samples (N,) at 16 kHz as (start, end) in samples.

    A recording of at most `WHOLE_SECONDS` is one segment. A longer one is cut at its pauses by
    Silero VAD; without speech it has no segments.
    """
    if len(samples) <= WHOLE_SECONDS * SAMPLE_RATE:
        return [(0, len(samples))]
    # Imported here: short recordings and `--help` do not need the VAD model.
    import silero_vad

    spans = silero_vad.get_speech_timestamps(
        samples,
        silero_vad.load_silero_vad(),
        sampling_rate=SAMPLE_RATE,
        max_speech_duration_s=_MAX_SEGMENT_SECONDS,
        min_silence_duration_ms=300,
        speech_pad_ms=150,
    )
    return [(span["start"], span["end"]) for span in spans]
