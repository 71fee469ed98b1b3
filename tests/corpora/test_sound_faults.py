"""`prepare --check audio`: what is wrong with recordings is found, named and counted."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import tones
from helpers.trees import make_unreadable, rejections, texts_by_id, write_text

from sorigeul.corpora.catalog import CORPORA
from sorigeul.corpora.options import PrepareOptions, Shard
from sorigeul.corpora.preparation import prepare, prepare_shard
from sorigeul.corpora.sound_faults import named_rate

TEXT = "가나 다라가 나"
SPEECH = tones.synthesize(TEXT)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Recordings of a sentence, some of them damaged, each in its own way."""
    folder = tmp_path / "in"
    folder.mkdir()
    noise = np.random.default_rng(0).standard_normal(len(SPEECH))
    not_finite = SPEECH.copy()
    not_finite[1000:9000] = np.nan
    few_not_finite = SPEECH.copy()
    few_not_finite[800:803] = np.nan
    recordings = {
        "good": SPEECH,
        "quiet": 0.02 * SPEECH,
        "noise": 0.02 * noise,
        "hum": 0.05 * np.sin(2 * np.pi * 60 * np.arange(len(SPEECH)) / 16_000),
        "clipped": np.clip(9 * SPEECH, -1, 1),
        "silent": 0 * SPEECH,
        "nan": not_finite,
        "few_nan": few_not_finite,
        "joined": SPEECH,
        "cut": SPEECH,
        "good_16k": SPEECH,
        "slow_8k": SPEECH,
        "narrow": tones.synthesize(TEXT, rate=8_000),
    }
    for name, samples in recordings.items():
        subtype = "FLOAT" if name.endswith("nan") else "PCM_16"
        soundfile.write(folder / f"{name}.wav", samples, 16_000, subtype=subtype)
    narrow = np.repeat(recordings["narrow"], 2)  # a poor upsampling, with an image above 4 kHz
    spectrum = np.fft.rfft(narrow)
    spectrum[len(spectrum) // 2 :] = 0
    soundfile.write(folder / "narrow.wav", np.fft.irfft(spectrum), 16_000)
    joined = (folder / "joined.wav").read_bytes()
    (folder / "joined.wav").write_bytes(joined * 2)
    with (folder / "cut.wav").open("r+b") as file:
        file.truncate(20_000)
    rows = [f"{name}.wav,{TEXT}" for name in recordings]
    return write_text(folder / "t.csv", "\n".join(["audio,text", *rows]))


def test_what_is_wrong_with_the_sound_is_told_of_every_recording(
    tmp_path: Path, table: Path
) -> None:
    report = prepare(CORPORA["table"], table, tmp_path / "out", PrepareOptions(check="audio"))
    reasons = rejections(report)
    assert sorted(reasons) == ["cut.wav", "nan.wav", "silent.wav"]
    assert "cut short or damaged" in reasons["cut.wav"]
    assert "not numbers" in reasons["nan.wav"]
    assert "only silence" in reasons["silent.wav"]
    found = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["sound"]
    assert {kind: [one["item"] for one in faulty] for kind, faulty in found.items()} == {
        "repaired": ["few_nan.wav", "joined.wav"],
        "no_speech": ["noise.wav", "hum.wav"],
        "clipped": ["clipped.wav"],
        "named_rate": ["slow_8k.wav"],
        "narrow_band": ["narrow.wav"],
    }
    assert found["no_speech"][0]["where"] == "t.csv:4"
    assert [one["reason"] for one in found["repaired"]] == [
        "set 3 impossible values to 0, the first at 0.05 s",
        "read the first of 2 recordings that were joined in one file",
    ]
    assert found["named_rate"][0]["reason"] == "its name says 8,000 Hz, and it has 16,000 Hz"
    assert "2 recordings hold silence or steady noise: noise.wav, hum.wav;" in "\n".join(
        report.warnings
    )
    assert {"noise.wav", "clipped.wav"} <= texts_by_id(tmp_path / "out").keys()


def test_headers_tell_nothing_of_the_sound(tmp_path: Path, table: Path) -> None:
    report = prepare(CORPORA["table"], table, tmp_path / "out", PrepareOptions(check="header"))
    assert report.sound is None
    assert not [warning for warning in report.warnings if "noise" in warning]
    assert "nan.wav" in texts_by_id(tmp_path / "out")


def test_what_was_found_is_kept_for_a_command_that_goes_on(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier one measured all recordings; what only read headers is looked at again."""
    expected = prepare(CORPORA["table"], table, tmp_path / "expected")
    prepare_shard(CORPORA["table"], table, tmp_path / "out", Shard(1, 1))
    for name in ("good", "noise", "clipped"):
        make_unreadable(table.parent / f"{name}.wav")
    report = prepare(CORPORA["table"], table, tmp_path / "out")
    assert report.sound == expected.sound
    headers = PrepareOptions(check="header")
    prepare_shard(CORPORA["table"], table, tmp_path / "again", Shard(1, 1), headers)
    heard: list[Path] = []
    monkeypatch.setattr(
        "sorigeul.corpora.checking.sound_faults", lambda _, path: heard.append(path)
    )
    prepare(CORPORA["table"], table, tmp_path / "again")
    assert len(heard) > 3


@pytest.mark.parametrize(
    ("path", "hertz"),
    [
        ("a_16k.wav", 16_000),
        ("a-44.1kHz.flac", 44_100),
        ("8kHz/a.ogg", 8_000),
        ("a 16000Hz.wav", 16_000),
        ("wav_22k/1.wav", 22_000),
        ("32k.mp3", None),
        ("a_16000.wav", None),
        ("10k/a.wav", None),
        ("t1.16k2.wav", None),
        ("216k.wav", None),
        ("a.wav", None),
    ],
)
def test_the_rate_that_a_name_tells(path: str, hertz: float | None) -> None:
    assert named_rate(Path(path)) == hertz
