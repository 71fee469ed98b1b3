"""A recording of any length to text: segments of speech, their times, how sure the model is.

Knows how to put a trained model to use; nothing of training, formats of output, or servers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from sorigeul.sound.audio import SAMPLE_RATE, Recording

WHOLE_SECONDS = 20.0
"""recordings up to this long are recognised in one piece, as utterances are in training"""
_SEGMENT_SECONDS = 15.0
"""longest segment of speech in a longer recording"""


@dataclass(frozen=True)
class SegmentedRecording:
    """A recording and the stretches of it in which somebody speaks."""

    recording: Recording
    spans: list[tuple[int, int]]
    """first sample and the one after the last"""

    @classmethod
    def from_recording(cls, recording: Recording) -> "SegmentedRecording":
        """Find the speech in a recording."""
        return cls(recording, speech_segments(torch.from_numpy(recording.samples)))


def speech_segments(samples: Tensor) -> list[tuple[int, int]]:
    """Spans of speech in a recording (N,) at 16 kHz, cut at pauses; a short one is one span.

    Silero VAD finds the speech in longer ones.
    """
    if len(samples) <= WHOLE_SECONDS * SAMPLE_RATE:
        return [(0, len(samples))]
    # Imported here: recordings of a sentence, and `--help`, need no second network.
    import silero_vad

    spans = silero_vad.get_speech_timestamps(
        samples,
        silero_vad.load_silero_vad(),
        sampling_rate=SAMPLE_RATE,
        max_speech_duration_s=_SEGMENT_SECONDS,
        min_silence_duration_ms=300,
        speech_pad_ms=150,
    )
    return [(span["start"], span["end"]) for span in spans]
