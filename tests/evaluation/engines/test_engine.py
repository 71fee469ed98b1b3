"""What engines are given: the samples of utterances, and samples as 16-bit PCM."""

import io
from collections.abc import Sequence

import numpy as np
import soundfile

from sorigeul.evaluation.engines.engine import Utterance, pcm16
from sorigeul.sound import audio


def test_an_utterance_is_what_the_manifest_says(utterances: Sequence[Utterance]) -> None:
    for utterance in utterances[:3]:
        samples = utterance.load()
        assert len(samples) == round(utterance.seconds * audio.SAMPLE_RATE)
        path = utterance.cut.recording.sources[0].source
        assert np.array_equal(samples, audio.load(path).samples)


def test_samples_of_16_bits_stay_what_they_are_and_louder_ones_are_cut_off() -> None:
    steps = np.array([0, 1, -1, 32767, -32768, 12345], np.int16)
    file = io.BytesIO()
    soundfile.write(file, steps, 16_000, format="WAV", subtype="PCM_16")
    assert pcm16(audio.load(file.getvalue()).samples) == steps.tobytes()
    loud = np.array([1.0, 2.0, -1.5], np.float32)
    assert pcm16(loud) == np.array([32767, 32767, -32768], np.int16).tobytes()
