"""Measures of recordings whose level, silence, noise and clipping are known."""

import numpy as np
import pytest

from sorigeul.prepared.corpus import PreparedCorpus
from sorigeul.prepared.recording_measures import clipped_share, measure_recording


def test_a_recording_is_measured(prepared: PreparedCorpus) -> None:
    (cut,) = prepared.splits["test"]
    measures = measure_recording(cut)
    assert not isinstance(measures, str)
    assert measures.level == pytest.approx(10 * np.log10(0.3**2 / 2 * 2.5 / 3), abs=0.1)
    assert measures.silence == pytest.approx(0.5, abs=0.05)
    assert measures.signal_to_noise == pytest.approx(57, abs=2)
    assert measures.clipped == 0


def test_what_cannot_be_read_is_a_reason(prepared: PreparedCorpus) -> None:
    (cut,) = prepared.splits["test"]
    (prepared.folder.parent / "audio" / "f.wav").write_bytes(b"no sound")
    assert "f.wav" in str(measure_recording(cut))


def test_samples_are_clipped_where_they_stand_at_the_edge() -> None:
    tone = np.sin(np.arange(16000) / 20).astype(np.float32)
    assert clipped_share(0.9 * tone) == 0
    cut_off = np.clip(2 * tone, -1, 1)
    assert clipped_share(cut_off) == pytest.approx(2 / 3, abs=0.02)
    touching = np.zeros(1000, np.float32)
    touching[[10, 11, 500]] = 1
    assert clipped_share(touching) == 0
    touching[12] = -1
    assert clipped_share(touching) == 0.003
    assert clipped_share(np.zeros(0, np.float32)) == 0
