"""Fixtures of the tests of recognition: a model that has learnt four tones, and long speech."""

from pathlib import Path

import numpy as np
import pytest
from helpers.transcripts import Wave

from sorigeul import Recognizer
from sorigeul.sound.audio import SAMPLE_RATE

SENTENCES = ("안녕하세요 반갑습니다", "오늘은 날씨가 참 좋네요", "내일 오후에 다시 전화해 주세요")


@pytest.fixture(scope="module")
def recognizer(run: Path) -> Recognizer:
    """The trained model of `run`, with a beam. Do not change its settings."""
    return Recognizer.from_pretrained(run, "cpu")


@pytest.fixture(scope="module")
def speech() -> Wave:
    """Nine sentences by eSpeak NG, with a second of faint noise between them: more than 20 s."""
    pytest.importorskip("espeakng_loader")
    from sorigeul.synthesis.espeak import Synthesizer

    with Synthesizer() as synthesizer:
        sentences = [
            synthesizer.speak(text, voice, 200, 50, 50)
            for voice in ("adam", "linda", "max")
            for text in SENTENCES
        ]
    pause = np.zeros(SAMPLE_RATE, np.float32)
    samples = np.concatenate([pause, *(np.append(sentence, pause) for sentence in sentences)])
    samples += 0.0005 * np.random.default_rng(0).standard_normal(len(samples)).astype(np.float32)
    assert len(samples) > 22 * SAMPLE_RATE
    return samples
