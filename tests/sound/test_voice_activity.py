"""Voice activity: the probabilities of Silero's own interface, in forked processes too."""

import multiprocessing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import tones

from sorigeul.sound import voice_activity
from sorigeul.sound.audio import Samples
from sorigeul.sound.voice_activity import WINDOW, VoiceActivity, _Detector

VOICE = tones.synthesize("가나다라가나", 1)


def probabilities(samples: Samples) -> Samples:
    activity = VoiceActivity()
    blocks = [*activity.feed(samples), *activity.finish()]
    return np.concatenate([block.probabilities for block in blocks])


def test_windows_judged_together_have_the_probabilities_that_they_have_one_by_one() -> None:
    import silero_vad

    windows = VOICE[: len(VOICE) // WINDOW * WINDOW].reshape(-1, WINDOW)
    model = silero_vad.load_silero_vad()
    model.reset_states()
    with torch.no_grad():
        expected = [float(model(torch.from_numpy(window), 16_000)) for window in windows]
    detector = _Detector()
    found = np.concatenate([detector(windows[:7]), detector(windows[7:20]), detector(windows[20:])])
    assert found == pytest.approx(expected, abs=1e-4)
    assert max(expected) > 0.9


def test_the_level_hardly_matters() -> None:
    for gain in (1.0, 0.01):
        assert probabilities(VOICE * np.float32(gain)).mean() > 0.6


def test_a_constant_offset_does_not_matter() -> None:
    quiet = VOICE * np.float32(10 ** (-40 / 20))
    assert probabilities(quiet + np.float32(0.5)).mean() > 0.6


def _of_voice(_: int) -> Samples:
    return probabilities(VOICE)


def test_a_forked_process_judges_as_its_parent_does() -> None:
    """Where the parent has used the detector before, as in `corpora` and `data`."""
    expected = probabilities(VOICE)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for found in pool.map(_of_voice, range(4)):
            assert np.array_equal(found, expected)


def test_the_network_is_that_of_the_wheel_with_its_licence() -> None:
    """It is kept here, since the wheel needs PyTorch."""
    own = Path(voice_activity.__file__).parent / "silero_vad"
    assert "MIT License" in (own / "LICENSE").read_text(encoding="utf-8")
    spec = find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    name = "silero_vad_16k_sequence.onnx"
    wheel = Path(spec.origin).parent / "data" / name
    assert (own / name).read_bytes() == wheel.read_bytes()
