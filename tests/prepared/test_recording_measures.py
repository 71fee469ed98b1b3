"""Measures of recordings whose level, silence, noise and clipping are known."""

import numpy as np
import pytest
import soundfile

from sorigeul.corpora.sound_faults import sound_faults
from sorigeul.prepared.corpus import PreparedCorpus
from sorigeul.prepared.recording_measures import measure_recording
from sorigeul.sound.audio import SAMPLE_RATE, load

from .conftest import sound


def test_a_recording_is_measured(prepared: PreparedCorpus) -> None:
    (cut,) = prepared.splits["test"]
    measures = measure_recording(cut)
    assert not isinstance(measures, str)
    assert measures.level == pytest.approx(10 * np.log10(0.3**2 / 2 * 2.5 / 3), abs=0.1)
    assert measures.silence == pytest.approx(0.5, abs=0.05)
    assert measures.signal_to_noise == pytest.approx(57, abs=2)
    assert not measures.clipped


def test_what_cannot_be_read_is_a_reason(prepared: PreparedCorpus) -> None:
    (cut,) = prepared.splits["test"]
    (prepared.folder.parent / "audio" / "f.wav").write_bytes(b"no sound")
    assert "f.wav" in str(measure_recording(cut))


def test_clipping_is_what_prepare_calls_so(prepared: PreparedCorpus) -> None:
    (cut,) = prepared.splits["test"]
    path = prepared.folder.parent / "audio" / "f.wav"
    for level in (0.4, 2.0):
        samples = np.clip(sound(3.0, level), -1, 1)
        soundfile.write(path, samples, SAMPLE_RATE)
        measures = measure_recording(cut)
        assert not isinstance(measures, str)
        kinds = [fault.kind for fault in sound_faults(load(path), path)]
        assert measures.clipped == ("clipped" in kinds) == (level > 1)
