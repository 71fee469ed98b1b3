"""The properties of a whole recording that follow from those of its segments."""

from dataclasses import replace

import numpy as np
import pytest

from sorigeul.recognition.transcription import Segment, Transcription


def segment(text: str, confidence: float, finished: bool = True) -> Segment:
    return Segment(
        start=0.0,
        end=1.0,
        text=text,
        confidence=confidence,
        finished=finished,
        characters=list(text),
        alignment=np.zeros((len(text), 1), np.float32),
    )


RECORDING = Transcription(
    text="가나다 라",
    segments=[segment("가나다", 0.9), segment("", 0.0), segment("라", 0.1)],
    duration=25.0,
    account=(),
)


def test_the_confidence_is_the_geometric_mean_over_all_characters() -> None:
    assert RECORDING.confidence == pytest.approx((0.9**3 * 0.1) ** (1 / 4))


def test_the_confidence_without_characters_is_zero() -> None:
    assert replace(RECORDING, segments=[]).confidence == 0
    assert replace(RECORDING, segments=[segment("", 0.0)]).confidence == 0


def test_a_recording_is_finished_if_all_its_segments_are() -> None:
    assert RECORDING.finished
    unfinished = segment("라", 0.1, finished=False)
    assert not replace(RECORDING, segments=[*RECORDING.segments, unfinished]).finished


def test_a_calibrated_segment_is_doubtful_if_half_of_it_is_expected_to_be_wrong() -> None:
    raw = segment("가나", 0.4)
    assert not raw.doubtful
    assert replace(raw, calibrated=True).doubtful
    assert not replace(raw, calibrated=True, confidence=0.6).doubtful
    assert replace(raw, calibrated=True, confidence=0.6, finished=False).doubtful
    assert replace(raw, calibrated=True, confidence=0.6, ctc_agreement=0.5).doubtful


def test_the_calibrated_confidence_is_the_expected_share_of_all_characters() -> None:
    segments = [replace(part, calibrated=True) for part in RECORDING.segments]
    calibrated = replace(RECORDING, segments=segments)
    assert calibrated.confidence == pytest.approx((3 * 0.9 + 0.1) / 4)
    assert replace(calibrated, segments=segments[1:2]).confidence == 0
