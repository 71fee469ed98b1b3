"""Which of several audio tracks is heard."""

from pathlib import Path

import numpy as np
import pytest
from av.stream import Disposition
from helpers.containers import Track, with_tracks
from helpers.waves import Wave, wave, with_soundfile

from sorigeul.sound.audio import SAMPLE_RATE, AudioError, AudioOptions, load


def tone(frequency: float) -> Wave:
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    return (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def heard(path: Path, track: str = "") -> tuple[int, str]:
    """The number of the track that is heard, whose tone is that many times 500 Hz; the account."""
    recording = load(path, options=AudioOptions(track=track))
    spectrum = np.abs(np.fft.rfft(recording.samples[:SAMPLE_RATE]))
    return round(float(np.argmax(spectrum)) / 500), "; ".join(recording.account)


def film(folder: Path, *languages: str, default: int = 0, extension: str = "mkv") -> Path:
    """A file with a track for every language, the tone of which tells its number."""
    tracks = [
        Track(
            [(0, tone(500 * number))],
            language=language,
            disposition=Disposition.default if number == default else Disposition(0),
        )
        for number, language in enumerate(languages, 1)
    ]
    return with_tracks(folder / f"film.{extension}", *tracks)


@pytest.mark.parametrize("extension", ["mkv", "mp4", "ts"])
def test_the_korean_track_is_chosen(tmp_path: Path, extension: str) -> None:
    path = film(tmp_path, "eng", "kor", "jpn", default=1, extension=extension)
    number, account = heard(path)
    assert number == 2
    assert "chose track 2 of 3 (kor)" in account


def test_without_a_korean_track_the_default_one_is_chosen_else_the_first(tmp_path: Path) -> None:
    assert heard(film(tmp_path, "eng", "jpn", default=2))[0] == 2
    assert heard(film(tmp_path, "eng", "jpn"))[0] == 1


def test_commentary_comes_last(tmp_path: Path) -> None:
    comment = Track([(0, tone(500))], language="kor", disposition=Disposition.comment)
    speech = Track([(0, tone(1_000))], language="kor", disposition=Disposition(0))
    assert heard(with_tracks(tmp_path / "a.mkv", comment, speech))[0] == 2


def test_a_track_is_chosen_by_number_or_language(tmp_path: Path) -> None:
    path = film(tmp_path, "eng", "kor", "jpn")
    for track, number in (("1", 1), ("3", 3), ("jpn", 3), ("ja", 3), ("EN", 1), ("ko-KR", 2)):
        assert heard(path, track)[0] == number


def test_a_track_that_does_not_exist_is_refused_with_a_list(tmp_path: Path) -> None:
    path = film(tmp_path, "eng", "kor")
    for track in ("3", "0", "9" * 5000, "fra"):
        with pytest.raises(AudioError, match=rf"no track {track}; it has 1 \(eng\), 2 \(kor\)$"):
            load(path, options=AudioOptions(track=track))
    with pytest.raises(AudioError, match="no track kor; it has only one"):
        load(with_soundfile(wave()), options=AudioOptions(track="kor"))
    assert load(with_soundfile(wave()), options=AudioOptions(track="1")).duration == 2.0


def test_without_a_choice_the_account_says_nothing(tmp_path: Path) -> None:
    assert "track" not in heard(film(tmp_path, "eng"))[1]
