"""Decoding of every format, with files written by real encoders; durations without decoding."""

import io
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from helpers.paths import SHARED
from helpers.waves import Wave, refused, wave, with_libav, with_soundfile

from sorigeul.sound import audio
from sorigeul.sound.audio import SAMPLE_RATE, AudioError, PartReader, load, load_part, probe


def max_correlation(decoded: Wave, original: Wave) -> float:
    """The highest correlation coefficient within a delay of 0.1 s, which codecs may add."""
    size = 2 * max(len(decoded), len(original))
    spectrum = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(original, size))
    correlation = np.fft.irfft(spectrum, size)
    max_delay = SAMPLE_RATE // 10
    highest = max(correlation[:max_delay].max(), correlation[-max_delay:].max())
    return float(highest / (np.linalg.norm(decoded) * np.linalg.norm(original)))


# Formats, and how exact the samples are


@pytest.mark.parametrize(
    ("subtype", "step"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 2**-23),
        ("FLOAT", 0.0),
        ("DOUBLE", 0.0),
        ("ULAW", 2**-5),
    ],
)
def test_wav_is_exact_to_its_quantisation_step(subtype: str, step: float) -> None:
    recording = load(with_soundfile(wave(), subtype=subtype))
    assert recording.samples.dtype == np.float32
    assert recording.samples.shape == (2 * SAMPLE_RATE,)
    assert np.abs(recording.samples - wave()).max() <= step
    assert recording.duration == 2.0


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_flac_is_exact_to_its_quantisation_step(subtype: str) -> None:
    step = {"PCM_S8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23}[subtype]
    recording = load(with_soundfile(wave(), kind="FLAC", subtype=subtype))
    assert np.abs(recording.samples - wave()).max() <= step


@pytest.mark.parametrize(
    ("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
)
@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_lossy_formats_of_libsndfile_are_close(kind: str, subtype: str, rate: int) -> None:
    recording = load(with_soundfile(wave(rate=rate), rate, kind, subtype))
    assert recording.duration == pytest.approx(2.0, abs=0.01)
    assert max_correlation(recording.samples, wave()) > 0.98


@pytest.mark.parametrize(
    ("file", "codec", "rate"),
    [
        ("a.m4a", "aac", 44_100),
        ("a.mp4", "aac", 48_000),
        ("a.aac", "aac", 16_000),
        ("a.webm", "libopus", 48_000),
        ("a.mka", "flac", 16_000),
        ("a.3gp", "libopencore_amrnb", 8_000),
        ("a.amr", "libopencore_amrnb", 8_000),
    ],
)
def test_formats_of_libav_are_read(tmp_path: Path, file: str, codec: str, rate: int) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no {codec}")
    with_libav(tmp_path / file, codec, rate)
    recording = load(tmp_path / file)
    assert recording.duration == pytest.approx(2.0, abs=0.15)  # bare AAC keeps its priming samples
    assert probe(tmp_path / file) == pytest.approx(recording.duration, abs=0.05)
    assert max_correlation(recording.samples, wave()) > (0.8 if "amr" in codec else 0.99)
    assert "decoded" in recording.account[0]


def test_the_audio_of_a_video_is_read(tmp_path: Path) -> None:
    """The video stream is longer than the audio, which must not make the audio look truncated."""
    for file in ("video.mp4", "video.mkv"):
        path = tmp_path / file
        with av.open(str(path), "w") as container:
            video = container.add_stream("mpeg4", rate=10, width=16, height=16, pix_fmt="yuv420p")
            audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
            for index in range(40):
                image = av.VideoFrame(16, 16, "yuv420p")
                image.pts = index
                container.mux(video.encode(image))
            container.mux(video.encode(None))
            pcm = (wave() * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
        assert max_correlation(load(path).samples, wave()) > 0.98
        assert probe(path) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_is_resampled_to_16_khz(rate: int) -> None:
    time = np.arange(2 * rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    recording = load(with_soundfile(tone, rate, subtype="FLOAT"))
    assert recording.account[-1] == f"resampled from {rate} Hz to 16000 Hz"
    assert len(recording.samples) == 2 * SAMPLE_RATE
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)
    inner = slice(2_000, -2_000)  # at the ends, the resampling filter lacks samples
    assert np.abs(recording.samples - expected)[inner].max() < 1e-4


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_averaged(channels: int) -> None:
    samples = np.stack([wave(shift=0.05 * channel) for channel in range(channels)], axis=1)
    recording = load(with_soundfile(samples, subtype="FLOAT"))
    assert np.abs(recording.samples - samples.mean(axis=1)).max() < 1e-6
    assert f"mixed {channels} channels down to one" in recording.account


def test_channels_are_averaged_by_libav_too(tmp_path: Path) -> None:
    samples = np.stack([wave(), 0.2 * wave(shift=0.3)], axis=1)
    recording = load(with_libav(tmp_path / "a.mka", "flac", SAMPLE_RATE, samples))
    assert np.abs(recording.samples - samples.mean(axis=1)).max() < 2**-14
    assert "mixed 2 channels down to one" in recording.account


def test_mono_at_16_khz_is_only_decoded() -> None:
    assert load(with_soundfile(wave())).account == ("decoded WAV (Signed 16 bit PCM)",)


# Headerless PCM, as in KsponSpeech


@pytest.mark.parametrize("extension", ["pcm", "raw", "PCM"])
def test_headerless_pcm_is_bit_exact(tmp_path: Path, extension: str) -> None:
    pcm = np.random.default_rng(0).integers(-32768, 32768, 4_001).astype("<i2")
    path = tmp_path / f"KsponSpeech_000001.{extension}"
    path.write_bytes(pcm.tobytes())
    recording = load(path)
    np.testing.assert_array_equal(recording.samples * 32768, pcm)
    assert probe(path) == recording.duration == 4_001 / SAMPLE_RATE
    np.testing.assert_array_equal(load(pcm.tobytes(), path.name).samples, recording.samples)


def test_an_odd_last_byte_of_pcm_is_dropped_and_recorded_in_the_account(tmp_path: Path) -> None:
    pcm = (wave() * 32767).astype("<i2").tobytes()
    path = tmp_path / "KsponSpeech_E02262.pcm"
    path.write_bytes(pcm + b"\x7f")
    recording = load(path)
    assert "dropped the odd last byte" in recording.account
    np.testing.assert_array_equal(recording.samples, load(pcm, "even.pcm").samples)
    assert probe(path) == 2.0


def test_a_single_byte_of_pcm_is_refused() -> None:
    assert "holds no sound" in refused(b"\x01", "a.pcm")


# Sources: paths, bytes, file objects, pipes


def test_paths_bytes_and_file_objects_give_the_same_recording(tmp_path: Path) -> None:
    with_libav(tmp_path / "a.m4a", "aac", 44_100)
    (tmp_path / "a.flac").write_bytes(with_soundfile(wave(), kind="FLAC"))
    for path in (tmp_path / "a.m4a", tmp_path / "a.flac"):
        expected = load(path)
        data = path.read_bytes()
        with path.open("rb") as file:
            for source in (str(path), data, io.BytesIO(data), file):
                recording = load(source)
                np.testing.assert_array_equal(recording.samples, expected.samples)
                assert recording.account == expected.account


def test_a_pipe_is_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    data = with_soundfile(wave())
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    writer.start()
    try:
        with fifo.open("rb") as file:
            np.testing.assert_array_equal(load(file).samples, load(data).samples)
    finally:
        writer.join()


def test_standard_input_is_read() -> None:
    program = (
        "import sys; from sorigeul.sound.audio import load; print(load(sys.stdin.buffer).duration)"
    )
    data = with_soundfile(wave())
    run = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, check=True
    )
    assert run.stdout.strip() == b"2.0"


def test_the_format_is_detected_from_the_content_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "really-a-flac.mp3"
    path.write_bytes(with_soundfile(wave(), kind="FLAC"))
    assert load(path).account == ("decoded FLAC (Signed 16 bit PCM)",)
    assert probe(path) == 2.0


def test_messages_start_with_the_given_name_in_one_line() -> None:
    assert refused(b"", "녹음.m4a").startswith("녹음.m4a: ")
    with pytest.raises(AudioError, match=r"^two\\nlines\.wav: "):
        load(b"", "two\nlines.wav")
    with pytest.raises(AudioError, match=r"^recording: "):
        load(io.BytesIO(b""))


# MP3 without a tag, for which libsndfile guesses the length


def untagged(mp3: bytes) -> bytes:
    """``mp3`` without its first frame, which is the Xing tag."""
    return mp3[mp3.index(mp3[:2], 4) :]


def test_mp3_without_a_tag_is_read_to_its_end(tmp_path: Path) -> None:
    quiet_then_loud = np.concatenate(
        [0.01 * wave(3), np.random.default_rng(0).normal(0, 0.2, 48_000)]
    ).astype(np.float32)
    path = tmp_path / "a.mp3"
    path.write_bytes(untagged(with_soundfile(quiet_then_loud, kind="MP3")))
    recording = load(path)
    assert soundfile.info(path).duration < 4, "libsndfile guesses a length that is too short"
    assert recording.duration == pytest.approx(6.0, abs=0.15)
    assert probe(path) == recording.duration


def test_joined_mp3s_are_read_to_the_end() -> None:
    mp3 = with_soundfile(wave(), kind="MP3")
    assert load(mp3 + mp3).duration == pytest.approx(4.0, abs=0.2)


def test_id3_tags_do_not_change_the_samples() -> None:
    mp3 = with_soundfile(wave(20), kind="MP3")
    padding = 300
    id3v2 = b"ID3\x04\x00\x00" + bytes([0, 0, padding >> 7, padding & 127]) + bytes(padding)
    tagged = id3v2 + mp3 + b"TAG" + "제목".encode("cp949").ljust(125, b" ")
    np.testing.assert_array_equal(load(tagged).samples, load(mp3).samples)
    assert "cut short" in refused(tagged[: len(tagged) // 2], "a.mp3")


def test_korean_titles_in_cp949_do_not_matter() -> None:
    mp3 = untagged(with_soundfile(wave(), kind="MP3"))
    titled = mp3 + b"TAG" + "제목".encode("cp949").ljust(125, b"\0")
    assert load(titled).duration == pytest.approx(2.0, abs=0.15)


# Durations without decoding


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_probe_agrees_with_load(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(with_soundfile(wave(1.7, 48_000), 48_000, kind))
    assert probe(path) == pytest.approx(load(path).duration, abs=1e-4)


def test_probe_does_not_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    (tmp_path / "a.flac").write_bytes(with_soundfile(wave(), kind="FLAC"))
    with_libav(tmp_path / "a.m4a", "aac", 44_100)
    (tmp_path / "a.pcm").write_bytes(bytes(64_000))
    monkeypatch.setattr(soundfile.SoundFile, "read", decode)
    monkeypatch.setattr("sorigeul.sound.libav.LibavDecoder.__iter__", decode)
    monkeypatch.setattr("sorigeul.sound.headerless.HeaderlessDecoder.__iter__", decode)
    for file in ("a.flac", "a.m4a", "a.pcm"):
        assert probe(tmp_path / file) == pytest.approx(2.0, abs=0.01)


def test_real_recordings_of_a_corpus() -> None:
    files = sorted((SHARED / "corpora" / "pansori-tedxkr").glob("data/*/*/*.flac"))[::100]
    if not files:
        pytest.skip("the corpus is not available")
    for file in files:
        recording = load(file)
        assert probe(file) == recording.duration
        assert np.abs(recording.samples).max() <= 1.0
        assert recording.account == ("decoded FLAC (Signed 16 bit PCM)",)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.pcm", "a.ogg", "stereo.wav", "44100.wav"])
def test_a_part_has_the_samples_of_the_whole(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    samples = wave(6)
    if path.suffix == ".pcm":
        path.write_bytes((samples * 32767).astype("<i2").tobytes() + b"x")
    else:
        channels = np.stack([samples, samples], axis=1) if name.startswith("stereo") else samples
        soundfile.write(path, channels, 44_100 if name.startswith("44100") else 16_000)
    whole = load(path).samples
    for start, seconds in ((0.0, 1.0), (0.3333, 1.2), (1.5, 0.6)):
        first, end = round(start * SAMPLE_RATE), round((start + seconds) * SAMPLE_RATE)
        assert np.array_equal(load_part(path, start, seconds).samples, whole[first:end])
    for start in (1.0, len(whole) / SAMPLE_RATE + 3):
        with pytest.raises(AudioError, match=r"s long, and has no part up to \d+\.\d\d s"):
            load_part(path, start, 9.0)
    with closing(PartReader(path)) as parts:
        for start in (0.0, 0.3333, 0.31, 0.5, 9.0, 0.6, 0.1):
            if start == 9.0:
                with pytest.raises(AudioError, match="has no part up to"):
                    parts.read(start, 0.5)
                continue
            part, expected = parts.read(start, 0.5), load_part(path, start, 0.5)
            assert np.array_equal(part.samples, expected.samples)
            assert part.account == expected.account


def test_parts_in_their_order_are_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.wav", wave(6), 44_100)
    opened = []
    open_decoder = audio._open_decoder

    def counted(*arguments: Any) -> Any:
        opened.append(arguments)
        return open_decoder(*arguments)

    monkeypatch.setattr(audio, "_open_decoder", counted)
    with closing(PartReader(tmp_path / "a.wav")) as parts:
        for start in np.arange(0, 1.8, 0.1):
            parts.read(start, 0.3)
    assert len(opened) == 1
