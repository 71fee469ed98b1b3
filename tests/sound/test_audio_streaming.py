"""Decoding block by block: the same samples however a file is cut, and pipes that still grow."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest
import soxr
from helpers.full_disk import limited_file_size
from helpers.waves import Wave, wave, with_libav, with_soundfile

from sorigeul.sound import source
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, AudioOptions, load, open_stream


class SlowPipe:
    """A pipe from which only ``size`` bytes come at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data, self.size, self.position = data, size, 0

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        taken = self.data[self.position : self.position + min(size, self.size)]
        self.position += len(taken)
        return taken


def piped(data: bytes, size: int = 4_000) -> BinaryIO:
    return cast(BinaryIO, SlowPipe(data, size))


def stereo(seconds: float, rate: int) -> Wave:
    """Two channels (N, 2), of which the right one is inverted after half the time."""
    samples = np.stack([wave(seconds, rate), wave(seconds, rate)], axis=1)
    samples[len(samples) // 2 :, 1] *= -1
    return samples


@pytest.mark.parametrize("rate", [8_000, SAMPLE_RATE, 44_100])
def test_samples_do_not_depend_on_how_the_file_is_cut_into_blocks(rate: int) -> None:
    pcm = (stereo(6.3, rate) * 32767).astype("<i2").tobytes()
    options = AudioOptions(pcm_rate=rate, pcm_channels=2)
    expected = load(pcm, "a.pcm", options)
    for size in (997, 10_000, len(pcm)):
        recording = load(piped(pcm, size), "a.pcm", options)
        np.testing.assert_array_equal(recording.samples, expected.samples)
        assert recording.account == expected.account
    wav = with_soundfile(stereo(6.3, rate), rate)
    np.testing.assert_array_equal(load(piped(wav)).samples, load(wav).samples)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000])
def test_resampling_in_blocks_equals_resampling_the_whole(rate: int) -> None:
    samples = wave(20, rate)
    recording = load(with_soundfile(samples, rate, subtype="FLOAT"))
    whole = soxr.resample(samples, rate, SAMPLE_RATE, quality="HQ")
    np.testing.assert_array_equal(recording.samples, whole)


STREAMS: dict[str, Callable[[Path, Wave], bytes]] = {
    "wav": lambda folder, samples: with_soundfile(samples),
    "float.wav": lambda folder, samples: with_soundfile(samples, subtype="FLOAT"),
    "pcm": lambda folder, samples: (samples * 32767).astype("<i2").tobytes(),
    "flac": lambda folder, samples: with_soundfile(samples, kind="FLAC"),
    "mp3": lambda folder, samples: with_soundfile(samples, kind="MP3"),
    "ogg": lambda folder, samples: with_soundfile(samples, kind="OGG"),
    "opus": lambda folder, samples: with_soundfile(samples, kind="OGG", subtype="OPUS"),
    "webm": lambda folder, samples: with_libav(folder / "a.webm", "libopus", 48_000, samples),
    "mkv": lambda folder, samples: with_libav(folder / "a.mkv", "aac", 48_000, samples),
    "aac": lambda folder, samples: with_libav(folder / "a.aac", "aac", 16_000, samples),
    "ts": lambda folder, samples: with_libav(folder / "a.ts", "aac", 48_000, samples),
    "mp4": lambda folder, samples: with_libav(
        folder / "a.mp4", "aac", 16_000, samples, movflags="frag_keyframe+empty_moov"
    ),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_a_pipe_is_heard_while_it_grows(tmp_path: Path, kind: str) -> None:
    """The second half is written only after a block of the first half has come out."""
    samples = np.tile(wave(5), 4)
    data = STREAMS[kind](tmp_path, samples)
    reading, writing = os.pipe()
    heard = threading.Event()
    in_time = []

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            pipe.write(data[: len(data) // 2])
            in_time.append(heard.wait(20))
            pipe.write(data[len(data) // 2 :])

    writer = threading.Thread(target=write)
    writer.start()
    blocks = []
    with os.fdopen(reading, "rb") as pipe, open_stream(pipe, f"a.{kind}") as stream:
        for block in stream:
            blocks.append(block[0])
            heard.set()
    writer.join()
    assert in_time == [True]
    joined = np.concatenate(blocks)
    assert len(joined) / SAMPLE_RATE == pytest.approx(20, abs=0.1)
    whole = load(data, f"a.{kind}").samples
    size = min(len(joined), len(whole))
    assert np.corrcoef(joined[:size], whole[:size])[0, 1] > 0.99


def test_a_pipe_that_must_be_seekable_is_copied_first(tmp_path: Path) -> None:
    """Such as an mp4 with its index at the end, and encodings that only libsndfile knows."""
    mp4 = with_libav(tmp_path / "a.m4a", "aac", 44_100)
    for data in (mp4, with_soundfile(wave(rate=8_000), 8_000, subtype="NMS_ADPCM_32")):
        np.testing.assert_array_equal(load(piped(data)).samples, load(data).samples)


def test_pipes_that_are_no_recordings_are_refused() -> None:
    for data, message in ((b"", "the file is empty"), (b"text" * 2_000, "not a recording")):
        with pytest.raises(AudioError, match=message):
            load(piped(data))
    with pytest.raises(AudioError, match="only silence"):
        load(piped(with_soundfile(np.zeros(50_000, np.float32))))


class EndlessPipe(SlowPipe):
    """A pipe like `yes`, and how much of it was read."""

    def read(self, size: int = -1) -> bytes:
        self.position += size
        return b"y\n" * (size // 2)


def test_a_pipe_without_an_end_is_not_copied_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LONGEST_COPY", 2**22)
    endless = EndlessPipe(b"", 0)
    with pytest.raises(AudioError, match=r"^radio: has not ended after 0.00390625 GiB, and its"):
        load(cast(BinaryIO, endless), "radio")
    assert 2**22 <= endless.position < 2**23


def test_a_pipe_that_the_disk_cannot_hold_is_refused() -> None:
    with (
        limited_file_size(10_000),
        pytest.raises(AudioError, match=r"^radio: cannot be kept in .* \(File too large\); make"),
    ):
        load(cast(BinaryIO, EndlessPipe(b"", 0)), "radio")


def test_faults_are_raised_by_the_iteration() -> None:
    flac = with_soundfile(wave(30), kind="FLAC")
    with open_stream(flac[: len(flac) // 2]) as stream:
        blocks = iter(stream)
        assert len(next(blocks)[0])
        with pytest.raises(AudioError, match="cut short or damaged"):
            list(blocks)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Twelve minutes, which are 46 MB as float32, need no more than one minute does."""
    program = (
        "import re, sys; from sorigeul.sound.audio import open_stream\n"
        "with open_stream(sys.argv[1]) as stream: n = sum(block.shape[1] for block in stream)\n"
        "print(n / 16000, re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"
    )
    peaks = []
    for minutes in (1, 12):
        path = tmp_path / "a.flac"
        path.write_bytes(with_soundfile(np.tile(wave(20), 3 * minutes), kind="FLAC"))
        run = subprocess.run(
            [sys.executable, "-c", program, str(path)], capture_output=True, check=True, text=True
        )
        seconds, peak = map(float, run.stdout.split())
        assert seconds == 60 * minutes
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 8_000  # kB
