"""Voice activity: the probabilities of Silero's own interface, without its side effects."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import tones

from sorigeul.sound.audio import Samples
from sorigeul.sound.voice_activity import WINDOW, VoiceActivity, _Detector

VOICE = tones.synthesize("가나다라가나", 1)


def probabilities(samples: Samples) -> Samples:
    activity = VoiceActivity()
    blocks = [*activity.feed(samples), *activity.finish()]
    return np.concatenate([block.probabilities for block in blocks])


def test_windows_judged_together_have_the_probabilities_that_they_have_one_by_one() -> None:
    import silero_vad

    windows = torch.from_numpy(VOICE[: len(VOICE) // WINDOW * WINDOW].reshape(-1, WINDOW))
    model = silero_vad.load_silero_vad()
    model.reset_states()
    with torch.no_grad():
        expected = [float(model(window, 16_000)) for window in windows]
    detector = _Detector()
    found = np.concatenate([detector(windows[:7]), detector(windows[7:20]), detector(windows[20:])])
    assert found == pytest.approx(expected, abs=1e-5)
    assert max(expected) > 0.9


def test_the_level_hardly_matters() -> None:
    for gain in (1.0, 0.01):
        assert probabilities(VOICE * np.float32(gain)).mean() > 0.6


def test_a_constant_offset_does_not_matter() -> None:
    quiet = VOICE * np.float32(10 ** (-40 / 20))
    assert probabilities(quiet + np.float32(0.5)).mean() > 0.6


def test_threads_and_random_numbers_of_the_user_stay_as_they_are() -> None:
    """Silero's import sets one thread for the whole process."""
    code = (
        "import numpy, torch; torch.manual_seed(3); before = torch.get_rng_state()\n"
        "from sorigeul.sound.segments import SegmentedRecording\n"
        "SegmentedRecording.from_samples(numpy.zeros(16000, numpy.float32))\n"
        "print(torch.get_num_threads(), torch.equal(before, torch.get_rng_state()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert done.stdout == "2 True\n"
