"""Recordings as the bytes of a file, and the comparison of transcriptions."""

import io

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from sorigeul.recognition.transcription import Transcription

Wave = npt.NDArray[np.float32]


def encoded(samples: Wave, rate: int, kind: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


def assert_same(
    transcription: Transcription, expected: Transcription, tolerance: float = 1e-6
) -> None:
    assert transcription.text == expected.text
    assert transcription.duration == pytest.approx(expected.duration)
    for segment, other in zip(transcription.segments, expected.segments, strict=True):
        assert (segment.start, segment.end) == (other.start, other.end)
        assert segment.text == other.text
        assert segment.characters == other.characters
        assert segment.finished == other.finished
        assert segment.confidence == pytest.approx(other.confidence, abs=tolerance)
        assert np.allclose(segment.alignment, other.alignment, atol=tolerance)
