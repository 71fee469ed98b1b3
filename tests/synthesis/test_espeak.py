"""The synthesizer: the same samples every time, and different ones for different arguments."""

import time

import numpy as np
import pytest

from sorigeul.base.errors import UserError
from sorigeul.synthesis.espeak import Synthesizer


def test_earlier_utterances_do_not_change_later_ones(synthesizer: Synthesizer) -> None:
    def speak(voice: str) -> bytes:
        return synthesizer.speak("오늘 날씨가 좋아요", voice, 200, 50, 50).tobytes()

    voices = ["f1", "f3", "victor", "klatt5", "m1"]  # with flutter, breath, another engine
    first = {voice: speak(voice) for voice in voices}
    time.sleep(1.1)  # by itself, the library seeds its noise with the second of the clock
    assert {voice: speak(voice) for voice in reversed(voices)} == first


def test_rate_and_pitch_change_the_speech(synthesizer: Synthesizer) -> None:
    slow = synthesizer.speak("안녕하세요 반갑습니다", "m1", 150, 50, 50)
    fast = synthesizer.speak("안녕하세요 반갑습니다", "m1", 250, 50, 50)
    high = synthesizer.speak("안녕하세요 반갑습니다", "m1", 150, 80, 50)
    assert len(fast) < 0.8 * len(slow)
    assert not np.array_equal(high[:8000], slow[:8000])


@pytest.mark.parametrize("voice", ["nobody", "", "F1"])
def test_an_unknown_voice_is_refused(synthesizer: Synthesizer, voice: str) -> None:
    with pytest.raises(UserError, match=rf"voice '{voice}': unknown; choose one of .*f1"):
        synthesizer.speak("안녕하세요", voice, 200, 50, 50)
    assert synthesizer.speak("안녕하세요", "f1", 200, 50, 50).size  # and the next one works
