"""Real files of every format, written by the real encoders, read back and compared."""

import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import soxr

from sorigeul.audio import SAMPLE_RATE, AudioError, load, probe

SHARED = Path(__file__).resolve().parents[2] / "shared"
Wave = npt.NDArray[np.float32]


def wave(seconds: float = 2.0, rate: int = SAMPLE_RATE, shift: float = 0.0) -> Wave:
    """A gliding, fading tone below 3.4 kHz (AMR carries no more), unlike itself at every delay."""
    time = np.arange(round(seconds * rate)) / rate
    glide = 2 * np.pi * (300 * time + 100 * time**2 + shift)
    return (0.4 * (1 + np.sin(9 * time)) * 0.5 * np.sin(glide) + 0.1 * np.sin(2.7 * glide)).astype(
        np.float32
    )


def with_soundfile(
    samples: Wave, rate: int = SAMPLE_RATE, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def with_libav(
    path: Path, codec: str, rate: int, samples: Wave | None = None, **options: str
) -> bytes:
    """Encode (N, channels) or (N,) samples at 16 kHz with libav, by the extension of ``path``."""
    samples = wave() if samples is None else samples
    layout = "mono" if samples.ndim == 1 else "stereo"
    resampled = soxr.resample(samples, SAMPLE_RATE, rate).reshape(-1)
    pcm = np.clip(resampled * 32767, -32768, 32767).astype(np.int16)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        for piece in (frame, None):
            for packet in stream.encode(piece):
                container.mux(packet)
    return path.read_bytes()


def likeness(heard: Wave, original: Wave) -> float:
    """The highest correlation coefficient within a delay of 0.1 s, which codecs may add."""
    size = 2 * max(len(heard), len(original))
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(original, size))
    correlation = np.fft.irfft(spectrum, size)
    reach = SAMPLE_RATE // 10
    best = max(correlation[:reach].max(), correlation[-reach:].max())
    return float(best / (np.linalg.norm(heard) * np.linalg.norm(original)))


def refused(source: str | Path | bytes, name: str | None = None) -> str:
    """The message with which ``source`` is refused: one line that starts with its name."""
    with pytest.raises(AudioError) as caught:
        load(source, name)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{name or source}: ")
    assert ";" in message, "a remedy follows the fault"
    return message


# What is read, and how exactly


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
def test_wav_of_every_depth_is_exact_to_its_step(subtype: str, step: float) -> None:
    recording = load(with_soundfile(wave(), subtype=subtype))
    assert recording.samples.dtype == np.float32
    assert recording.samples.shape == (2 * SAMPLE_RATE,)
    assert np.abs(recording.samples - wave()).max() <= step
    assert recording.duration == 2.0


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24"])
def test_flac_is_exact_to_its_step(subtype: str) -> None:
    step = {"PCM_S8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23}[subtype]
    assert (
        np.abs(load(with_soundfile(wave(), kind="FLAC", subtype=subtype)).samples - wave()).max()
        <= step
    )


@pytest.mark.parametrize(
    ("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")]
)
@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_lossy_formats_of_libsndfile(kind: str, subtype: str, rate: int) -> None:
    recording = load(with_soundfile(wave(rate=rate), rate, kind, subtype))
    assert recording.duration == pytest.approx(2.0, abs=0.01)
    assert likeness(recording.samples, wave()) > 0.98


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
def test_formats_of_libav(tmp_path: Path, file: str, codec: str, rate: int) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no {codec}")
    with_libav(tmp_path / file, codec, rate)
    recording = load(tmp_path / file)
    assert recording.duration == pytest.approx(2.0, abs=0.15)  # bare AAC keeps its run-in
    assert probe(tmp_path / file) == pytest.approx(recording.duration, abs=0.05)
    assert likeness(recording.samples, wave()) > (0.8 if "amr" in codec else 0.99)
    assert "decoded" in recording.account[0]


def test_the_sound_of_a_film_is_read(tmp_path: Path) -> None:
    """The picture lasts longer than the sound, which must not make the sound look cut short."""
    for file in ("film.mp4", "film.mkv"):
        path = tmp_path / file
        with av.open(str(path), "w") as container:
            pictures = container.add_stream(
                "mpeg4", rate=10, width=16, height=16, pix_fmt="yuv420p"
            )
            sound = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
            for index in range(40):
                image = av.VideoFrame(16, 16, "yuv420p")
                image.pts = index
                container.mux(pictures.encode(image))
            container.mux(pictures.encode(None))
            pcm = (wave() * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, 0
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        assert likeness(load(path).samples, wave()) > 0.98
        assert probe(path) == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_becomes_16_khz(rate: int) -> None:
    time = np.arange(2 * rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    recording = load(with_soundfile(tone, rate, subtype="FLOAT"))
    assert recording.account[-1] == f"resampled from {rate} Hz to 16000 Hz"
    assert len(recording.samples) == 2 * SAMPLE_RATE
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE)
    inner = slice(2_000, -2_000)  # the filter has nothing to look at beyond the ends
    assert np.abs(recording.samples - expected)[inner].max() < 1e-4


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_averaged(channels: int) -> None:
    samples = np.stack([wave(shift=0.05 * each) for each in range(channels)], axis=1)
    recording = load(with_soundfile(samples, subtype="FLOAT"))
    assert np.abs(recording.samples - samples.mean(axis=1)).max() < 1e-6
    assert f"mixed {channels} channels down to one" in recording.account


def test_channels_are_averaged_by_libav_too(tmp_path: Path) -> None:
    samples = np.stack([wave(), 0.2 * wave(shift=0.3)], axis=1)
    recording = load(with_libav(tmp_path / "a.mka", "flac", SAMPLE_RATE, samples))
    assert np.abs(recording.samples - samples.mean(axis=1)).max() < 2**-14
    assert "mixed 2 channels down to one" in recording.account


def test_a_recording_already_right_is_only_decoded() -> None:
    assert load(with_soundfile(wave())).account == ("decoded WAV (Signed 16 bit PCM)",)


# Headerless PCM, KsponSpeech's


@pytest.mark.parametrize("extension", ["pcm", "raw", "PCM"])
def test_headerless_pcm_is_bit_exact(tmp_path: Path, extension: str) -> None:
    pcm = np.random.default_rng(0).integers(-32768, 32768, 4_001).astype("<i2")
    path = tmp_path / f"KsponSpeech_000001.{extension}"
    path.write_bytes(pcm.tobytes())
    recording = load(path)
    np.testing.assert_array_equal(recording.samples * 32768, pcm)
    assert probe(path) == recording.duration == 4_001 / SAMPLE_RATE
    np.testing.assert_array_equal(load(pcm.tobytes(), path.name).samples, recording.samples)


def test_odd_last_byte_of_pcm_is_dropped_and_told(tmp_path: Path) -> None:
    pcm = (wave() * 32767).astype("<i2").tobytes()
    path = tmp_path / "KsponSpeech_E02262.pcm"
    path.write_bytes(pcm + b"\x7f")
    recording = load(path)
    assert "dropped the odd last byte" in recording.account
    np.testing.assert_array_equal(recording.samples, load(pcm, "even.pcm").samples)
    assert probe(path) == 2.0


def test_a_single_byte_of_pcm_is_no_sound() -> None:
    assert "holds no sound" in refused(b"\x01", "a.pcm")


# The ways in


def test_paths_bytes_and_files_are_equal(tmp_path: Path) -> None:
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
        np.testing.assert_array_equal(load(fifo).samples, load(data).samples)
    finally:
        writer.join()


def test_standard_input_is_read() -> None:
    program = "import sys; from sorigeul.audio import load; print(load(sys.stdin.buffer).duration)"
    data = with_soundfile(wave())
    run = subprocess.run(
        [sys.executable, "-c", program], input=data, capture_output=True, check=True
    )
    assert run.stdout.strip() == b"2.0"


def test_the_content_tells_the_format_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "really-a-flac.mp3"
    path.write_bytes(with_soundfile(wave(), kind="FLAC"))
    assert load(path).account == ("decoded FLAC (Signed 16 bit PCM)",)
    assert probe(path) == 2.0


def test_messages_call_an_upload_by_its_name_in_one_line() -> None:
    assert refused(b"", "녹음.m4a").startswith("녹음.m4a: ")
    with pytest.raises(AudioError, match=r"^two lines\.wav: "):
        load(b"", "two\nlines.wav")
    with pytest.raises(AudioError, match=r"^recording: "):
        load(io.BytesIO(b""))


# MP3, whose length libsndfile guesses


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
    assert soundfile.info(path).duration < 4, "libsndfile's guess, which must not be believed"
    assert recording.duration == pytest.approx(6.0, abs=0.15)
    assert probe(path) == recording.duration


def test_mp3s_joined_are_read_to_the_end() -> None:
    mp3 = with_soundfile(wave(), kind="MP3")
    assert load(mp3 + mp3).duration == pytest.approx(4.0, abs=0.2)


def test_mp3_with_id3_tags_is_read_like_one_without() -> None:
    mp3 = with_soundfile(wave(20), kind="MP3")
    padding = 300
    id3v2 = b"ID3\x04\x00\x00" + bytes([0, 0, padding >> 7, padding & 127]) + bytes(padding)
    tagged = id3v2 + mp3 + b"TAG" + "제목".encode("cp949").ljust(125, b" ")
    np.testing.assert_array_equal(load(tagged).samples, load(mp3).samples)
    assert "cut short" in refused(tagged[: len(tagged) // 2], "a.mp3")


def test_korean_titles_of_old_do_not_matter() -> None:
    mp3 = untagged(with_soundfile(wave(), kind="MP3"))
    titled = mp3 + b"TAG" + "제목".encode("cp949").ljust(125, b"\0")
    assert load(titled).duration == pytest.approx(2.0, abs=0.15)


# What is refused


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for read in (load, probe):
        with pytest.raises(AudioError, match="No such file"):
            read(tmp_path / "none.wav")
        with pytest.raises(AudioError, match="Is a directory"):
            read(tmp_path)
        with pytest.raises(AudioError, match="cannot be opened"):
            read("a\0.wav")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(with_soundfile(wave()))
    path.chmod(0)
    assert "Permission denied" in refused(path)


NOT_AUDIO: dict[str, bytes] = {
    "text": "소리글 is text\n".encode() * 50,
    "zeros": bytes(5_000),
    "noise": np.random.default_rng(1).bytes(5_000),
    "one byte": b"R",
    "riff": b"RIFF",
    "ogg": b"OggS",
    "id3": b"ID3",
    "playlist": b"ffconcat version 1.0\nfile secret.wav\n",
    "zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("kind", NOT_AUDIO)
def test_what_is_not_audio(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.wav").write_bytes(with_soundfile(wave()))  # what the playlist names
    path = tmp_path / "a.wav"
    path.write_bytes(NOT_AUDIO[kind])
    assert "not a recording" in refused(path) or "cut short" in refused(path)
    with pytest.raises(AudioError):
        probe(path)
    assert capfd.readouterr() == ("", ""), "decoders keep quiet"


def test_pictures_hold_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10, width=16, height=16, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(stream.encode(None))
    assert "no sound" in refused(path)
    with pytest.raises(AudioError, match="no sound"):
        probe(path)


def test_empty_files(tmp_path: Path) -> None:
    for file in ("a.wav", "a.pcm", "a.m4a"):
        path = tmp_path / file
        path.touch()
        assert "the file is empty" in refused(path)
        with pytest.raises(AudioError, match="the file is empty"):
            probe(path)


def test_a_header_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(with_soundfile(np.empty(0, np.float32)))
    assert "holds no sound" in refused(path)
    with pytest.raises(AudioError, match="holds no sound"):
        probe(path)


ENCODED: dict[str, Callable[[Path], bytes]] = {
    "wav": lambda _: with_soundfile(wave()),
    "aiff": lambda _: with_soundfile(wave(), kind="AIFF"),
    "flac": lambda _: with_soundfile(wave(), kind="FLAC"),
    "vorbis": lambda _: with_soundfile(wave(), kind="OGG"),
    "opus": lambda _: with_soundfile(wave(), kind="OGG", subtype="OPUS"),
    "mp3": lambda _: with_soundfile(wave(), kind="MP3"),
    "m4a": lambda folder: with_libav(folder / "a.m4a", "aac", 44_100),
    "m4a, header first": lambda folder: with_libav(
        folder / "a.m4a", "aac", 44_100, movflags="faststart"
    ),
    "webm": lambda folder: with_libav(folder / "a.webm", "libopus", 48_000),
}


@pytest.mark.parametrize("kind", ENCODED)
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_cut_file_is_refused(
    tmp_path: Path, kind: str, kept: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = ENCODED[kind](tmp_path)
    assert load(data).duration == pytest.approx(2.0, abs=0.05)
    capfd.readouterr()  # what encoders say
    message = refused(data[: int(kept * len(data))], "cut")
    assert "cut short or damaged" in message or (kind == "m4a" and "or a damaged one" in message)
    assert capfd.readouterr() == ("", ""), "decoders keep quiet"


def test_wav_written_into_a_pipe_has_no_length_to_keep() -> None:
    wav = with_soundfile(wave())
    at = wav.index(b"data") + 4
    for unknown in (b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f"):
        streamed = wav[:at] + unknown + wav[at + 4 :]
        np.testing.assert_array_equal(load(streamed).samples, load(wav).samples)


def test_wav_cut_within_the_last_sample() -> None:
    assert "promises 64000 bytes of sound and has 63999" in refused(
        with_soundfile(wave())[:-1], "a"
    )


def test_an_impossible_rate_is_refused() -> None:
    wav = bytearray(with_soundfile(wave()))
    wav[24:28] = (1).to_bytes(4, "little")
    assert "sampling rate of 1 Hz" in refused(bytes(wav), "a.wav")


@pytest.mark.parametrize(
    ("kind", "level"), [("WAV", 0.0), ("WAV", 0.25), ("FLAC", -0.5), ("OGG", 0.0), ("MP3", 0.0)]
)
def test_silence(kind: str, level: float) -> None:
    for rate in (SAMPLE_RATE, 48_000):
        constant = np.full(rate, level, np.float32)
        assert "only silence" in refused(with_soundfile(constant, rate, kind), "a")


def test_faint_sound_is_not_silence() -> None:
    assert load(with_soundfile(wave() * 1e-4)).duration == 2.0
    below_16_bits = with_soundfile(wave() * 1e-5, subtype="FLOAT")
    assert "only silence" in refused(below_16_bits, "a.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers(value: float) -> None:
    samples = wave()
    samples[SAMPLE_RATE // 2] = value
    assert "the first at 0.50 s" in refused(with_soundfile(samples, subtype="FLOAT"), "a.wav")


def test_damage_anywhere_is_an_audio_error_or_a_recording() -> None:
    """Whatever a byte is changed to, nothing but `AudioError` comes out."""
    dice = np.random.default_rng(2)
    for kind in ("WAV", "FLAC", "OGG"):
        data = with_soundfile(wave(0.5), kind=kind)
        for _ in range(60):
            damaged = bytearray(data)
            for at in dice.integers(0, min(len(data), int(dice.choice([60, len(data)]))), 3):
                damaged[at] = int(dice.integers(256))
            with contextlib.suppress(AudioError):
                assert np.isfinite(load(bytes(damaged)).samples).all()


# Probing


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
    monkeypatch.setattr("sorigeul.audio._decode_container", decode)
    for file in ("a.flac", "a.m4a", "a.pcm"):
        assert probe(tmp_path / file) == pytest.approx(2.0, abs=0.01)


def test_real_recordings() -> None:
    files = sorted((SHARED / "corpora" / "pansori-tedxkr").glob("data/*/*/*.flac"))[::100]
    if not files:
        pytest.skip("the corpus is not here")
    for file in files:
        recording = load(file)
        assert probe(file) == recording.duration
        assert np.abs(recording.samples).max() <= 1.0
        assert recording.account == ("decoded FLAC (Signed 16 bit PCM)",)
