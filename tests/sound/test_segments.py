"""Speech segments: the length up to which a recording stays whole.

Segments of long speech are tested through the recognizer, in `tests/recognition`.
"""

import numpy as np
import torch

from sorigeul.sound.audio import SAMPLE_RATE, Recording
from sorigeul.sound.segments import WHOLE_SECONDS, SegmentedRecording, speech_segments

LONGEST_WHOLE = round(WHOLE_SECONDS * SAMPLE_RATE)


def test_a_recording_is_searched_for_speech_only_if_it_is_longer_than_the_limit() -> None:
    """Silence up to the limit is one segment; one sample more, and no speech is found in it."""
    assert speech_segments(torch.zeros(LONGEST_WHOLE)) == [(0, LONGEST_WHOLE)]
    assert speech_segments(torch.zeros(LONGEST_WHOLE + 1)) == []


def test_twenty_seconds_are_one_segment() -> None:
    assert speech_segments(torch.zeros(20 * SAMPLE_RATE)) == [(0, 20 * SAMPLE_RATE)]


def test_a_segmented_recording_keeps_the_recording() -> None:
    recording = Recording(np.zeros(SAMPLE_RATE, np.float32), ("decoded",))
    segmented = SegmentedRecording.from_recording(recording)
    assert segmented.recording is recording
    assert segmented.spans == [(0, SAMPLE_RATE)]
