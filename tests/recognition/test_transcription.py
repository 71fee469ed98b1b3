"""The properties of a whole recording that follow from those of its segments."""

from dataclasses import replace

import pytest
import torch

from sorigeul.recognition.transcription import Segment, Transcription


def segment(text: str, confidence: float, finished: bool = True) -> Segment:
    return Segment(
        start=0.0,
        end=1.0,
        text=text,
        confidence=confidence,
        finished=finished,
        characters=list(text),
        alignment=torch.zeros(len(text), 1),
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
