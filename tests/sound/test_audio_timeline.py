"""Sound is heard when a player plays it: late starts, holes, overlaps and strange time stamps."""

from pathlib import Path

import numpy as np
import pytest
from helpers.containers import Track, with_tracks
from helpers.waves import Wave, wave, with_soundfile

from sorigeul.sound.audio import SAMPLE_RATE, Recording, load, open_stream, probe

CONTAINERS = {
    "mkv": ("aac", 48_000),
    "mp4": ("aac", 48_000),
    "mov": ("aac", 48_000),
    "3gp": ("aac", 16_000),
    "ts": ("aac", 48_000),
    "flv": ("aac", 44_100),
}
AUDIO_ONLY = {"webm": ("libopus", 48_000), "ogg": ("libopus", 48_000)}


def bursts(recording: Recording) -> list[float]:
    """Where the stretches of sound begin and end, in seconds."""
    loud = np.flatnonzero(np.abs(recording.samples) > 0.03)
    pauses = np.flatnonzero(np.diff(loud) > SAMPLE_RATE // 5)
    edges = [loud[0], *np.stack([loud[pauses], loud[pauses + 1]], axis=1).ravel(), loud[-1]]
    return [float(edge) / SAMPLE_RATE for edge in edges]


def tone(seconds: float = 2.0) -> Wave:
    """A tone that is loud from its first sample to its last."""
    phase = 0.2 * np.arange(round(seconds * SAMPLE_RATE), dtype=np.float64)
    samples: Wave = (0.3 * np.sin(phase)).astype(np.float32)
    return samples


@pytest.mark.parametrize("extension", CONTAINERS)
def test_sound_that_starts_after_the_picture_is_heard_later(tmp_path: Path, extension: str) -> None:
    track = Track([(4.9, tone())], *CONTAINERS[extension])
    path = with_tracks(tmp_path / f"a.{extension}", track, video_seconds=7)
    recording = load(path)
    assert bursts(recording) == pytest.approx([4.9, 6.9], abs=0.05)
    step = next(step for step in recording.account if "before the sound" in step)
    assert step.startswith("added 4.")
    assert step.endswith(" s of silence before the sound")
    assert probe(path) == pytest.approx(recording.duration, abs=0.06)


@pytest.mark.parametrize("extension", [*CONTAINERS, *AUDIO_ONLY])
def test_a_hole_in_the_time_stamps_becomes_silence(tmp_path: Path, extension: str) -> None:
    codec, rate = {**CONTAINERS, **AUDIO_ONLY}[extension]
    video_seconds = 11 if extension in CONTAINERS else 0
    track = Track([(0, tone()), (9, tone())], codec, rate)
    path = with_tracks(tmp_path / f"a.{extension}", track, video_seconds=video_seconds)
    recording = load(path)
    assert bursts(recording) == pytest.approx([0, 2, 9, 11], abs=0.06)
    assert any(
        step.startswith(("filled 1 hole of 7.0", "filled 1 hole of 6.9"))
        for step in recording.account
    )
    assert probe(path) == pytest.approx(recording.duration, abs=0.06)


def test_a_recording_that_was_paused_several_times(tmp_path: Path) -> None:
    track = Track([(0, tone()), (3, tone()), (8, tone())], "libopus")
    recording = load(with_tracks(tmp_path / "a.webm", track))
    assert bursts(recording) == pytest.approx([0, 2, 3, 5, 8, 10], abs=0.06)
    assert "filled 2 holes of 4.00 s together" in recording.account


def test_short_gaps_of_rounded_time_stamps_are_left_alone(tmp_path: Path) -> None:
    track = Track([(0, tone()), (2.04, tone())])
    recording = load(with_tracks(tmp_path / "a.mkv", track))
    assert recording.duration == pytest.approx(4.0, abs=0.03)
    assert not any("filled" in step for step in recording.account)


def test_overlapping_sound_is_dropped(tmp_path: Path) -> None:
    track = Track([(0, tone()), (1.7, tone()), (4.7, tone())])
    recording = load(with_tracks(tmp_path / "a.mkv", track))
    assert bursts(recording)[-2:] == pytest.approx([4.7, 6.7], abs=0.06)
    assert any("of overlapping sound" in step for step in recording.account)


def test_an_offset_of_the_whole_container_is_subtracted(tmp_path: Path) -> None:
    """Broadcasts begin at any time of their clock."""
    for extension in ("ts", "mkv"):
        track = Track([(5_000, tone()), (5_003, tone())])
        recording = load(with_tracks(tmp_path / f"a.{extension}", track))
        assert bursts(recording) == pytest.approx([0, 2, 3, 5], abs=0.06)


def test_the_edit_list_of_an_mp4_hides_what_is_before_its_start(tmp_path: Path) -> None:
    quiet = 0.2 * tone(1)
    track = Track([(-1, np.concatenate([quiet, tone()]))])
    recording = load(with_tracks(tmp_path / "a.mp4", track, video_seconds=2))
    assert recording.duration == pytest.approx(2.0, abs=0.03)
    assert bursts(recording) == pytest.approx([0, 2], abs=0.03)
    assert np.abs(recording.samples[1_000:-1_000]).max() > 0.25


@pytest.mark.parametrize(("extension", "codec"), [("mkv", "aac"), ("ts", "aac"), ("ogg", "opus")])
def test_absurd_time_stamps_are_ignored(tmp_path: Path, extension: str, codec: str) -> None:
    codec = "libopus" if codec == "opus" else codec
    track = Track([(0, tone()), (100 * 3600, tone())], codec)
    path = with_tracks(tmp_path / f"a.{extension}", track)
    recording = load(path)
    assert recording.duration == pytest.approx(4.0, abs=0.1)
    assert any("the clock of the file jumps" in step for step in recording.account)
    assert probe(path) == recording.duration


def test_a_clock_that_starts_again_is_ignored(tmp_path: Path) -> None:
    """Two recordings of a broadcast, one after the other in a file."""
    first, second = (
        with_tracks(tmp_path / f"{number}.ts", Track([(at, tone())]))
        for number, at in enumerate((50, 0))
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    recording = load(joined)
    assert recording.duration == pytest.approx(4.0, abs=0.2)
    assert any("the clock of the file jumps" in step for step in recording.account)


def test_joined_ogg_files_are_read_to_the_end() -> None:
    for subtype in ("VORBIS", "OPUS"):
        ogg = with_soundfile(wave(), kind="OGG", subtype=subtype)
        assert load(ogg + ogg).duration == pytest.approx(4.0, abs=0.1)


def test_silence_comes_in_short_blocks(tmp_path: Path) -> None:
    track = Track([(0, tone()), (602, tone())], rate=SAMPLE_RATE)
    with open_stream(with_tracks(tmp_path / "a.mkv", track)) as stream:
        sizes = [block.shape[1] for block in stream]
    assert sum(sizes) / SAMPLE_RATE == pytest.approx(604, abs=0.1)
    assert max(sizes) <= 2 * SAMPLE_RATE


def test_a_broadcast_that_gains_a_track(tmp_path: Path) -> None:
    first = with_tracks(tmp_path / "1.ts", Track([(0, np.tile(tone(), 8))], rate=SAMPLE_RATE))
    more = [Track([(16, tone())], rate=SAMPLE_RATE) for _ in range(3)]
    second = with_tracks(tmp_path / "2.ts", *more)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    assert load(joined).duration == pytest.approx(18.0, abs=0.2)
