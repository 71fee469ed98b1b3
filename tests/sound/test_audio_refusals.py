"""Files that cannot be used: which are refused, with which message, and which are still read."""

import contextlib
import errno
import io
import os
import re
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from helpers.waves import Wave, refused, wave, with_libav, with_soundfile

from sorigeul.sound.audio import SAMPLE_RATE, AudioError, load, open_stream, probe
from sorigeul.sound.decoder_messages import without_decoder_messages


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for read in (load, probe):
        with pytest.raises(AudioError, match="No such file"):
            read(tmp_path / "none.wav")
        with pytest.raises(AudioError, match=f"^{tmp_path}: is a folder; give a regular file$"):
            read(tmp_path)
        with pytest.raises(AudioError, match="cannot be opened"):
            read("a\0.wav")


@pytest.fixture
def not_root() -> Iterator[None]:
    """Run as user "nobody", since root may read every file."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.mark.skipif(os.name != "posix", reason="permissions work differently there")
def test_an_unreadable_file_is_refused(not_root: None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        path.write_bytes(with_soundfile(wave()))
        load(path)
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
def test_files_that_are_not_audio_are_refused(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.wav").write_bytes(with_soundfile(wave()))  # the file in the playlist
    path = tmp_path / "a.wav"
    path.write_bytes(NOT_AUDIO[kind])
    assert "not a recording" in refused(path) or "cut short" in refused(path)
    with pytest.raises(AudioError):
        probe(path)
    assert capfd.readouterr() == ("", ""), "the decoders must print nothing"


def test_a_video_without_audio_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10, width=16, height=16, pix_fmt="yuv420p")
        container.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        container.mux(stream.encode(None))
    assert "no sound" in refused(path)
    with pytest.raises(AudioError, match="no sound"):
        probe(path)


def test_empty_files_are_refused(tmp_path: Path) -> None:
    for file in ("a.wav", "a.pcm", "a.m4a"):
        path = tmp_path / file
        path.touch()
        assert "the file is empty" in refused(path)
        with pytest.raises(AudioError, match="the file is empty"):
            probe(path)


def test_a_header_without_samples_is_refused(tmp_path: Path) -> None:
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
def test_a_truncated_file_is_refused(
    tmp_path: Path, kind: str, kept: float, capfd: pytest.CaptureFixture[str]
) -> None:
    data = ENCODED[kind](tmp_path)
    assert load(data).duration == pytest.approx(2.0, abs=0.05)
    capfd.readouterr()  # discard what the encoders print
    message = refused(data[: int(kept * len(data))], "cut")
    assert "cut short or damaged" in message or (kind == "m4a" and "or a damaged one" in message)
    assert capfd.readouterr() == ("", ""), "the decoders must print nothing"


def test_wav_written_to_a_pipe_has_an_unknown_length_and_is_read() -> None:
    wav = with_soundfile(wave())
    length_field = wav.index(b"data") + 4
    for unknown in (b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f", bytes(4)):
        streamed = wav[:length_field] + unknown + wav[length_field + 4 :]
        np.testing.assert_array_equal(load(streamed).samples, load(wav).samples)


def test_flac_written_to_a_pipe_has_an_unknown_length_and_is_read(tmp_path: Path) -> None:
    flac = bytearray(with_soundfile(wave(), kind="FLAC"))
    flac[21] &= 0xF0  # the number of samples is the last 36 bits before the checksum, here 0
    flac[22:26] = bytes(4)
    path = tmp_path / "a.flac"
    path.write_bytes(flac)
    assert soundfile.info(path).frames > 2**40
    assert probe(path) == load(path).duration == 2.0
    assert "cut short" in refused(bytes(flac[: len(flac) // 2]), "cut.flac")


def test_webm_of_a_browser_has_no_duration_and_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    with_libav(path, "libopus", 48_000, live="1")
    with av.open(str(path)) as container:
        assert container.duration is None
    assert probe(path) == load(path).duration == pytest.approx(2.0, abs=0.03)


def test_wav_truncated_within_the_last_sample_is_refused() -> None:
    truncated = with_soundfile(wave())[:-1]
    assert "promises 64000 bytes of sound and has 63999" in refused(truncated, "a")


def test_an_impossible_rate_is_refused() -> None:
    wav = bytearray(with_soundfile(wave()))
    wav[24:28] = (1).to_bytes(4, "little")
    assert "sampling rate of 1 Hz" in refused(bytes(wav), "a.wav")


@pytest.mark.parametrize(
    ("kind", "level"), [("WAV", 0.0), ("WAV", 0.25), ("FLAC", -0.5), ("OGG", 0.0), ("MP3", 0.0)]
)
def test_silence_is_refused(kind: str, level: float) -> None:
    for rate in (SAMPLE_RATE, 48_000):
        constant = np.full(rate, level, np.float32)
        assert "only silence" in refused(with_soundfile(constant, rate, kind), "a")


def test_faint_audio_is_not_silence() -> None:
    assert load(with_soundfile(wave() * 1e-4)).duration == 2.0
    below_16_bits = with_soundfile(wave() * 1e-5, subtype="FLOAT")
    assert "only silence" in refused(below_16_bits, "a.wav")


def test_random_damage_raises_only_audio_errors() -> None:
    """Three random bytes are changed: the file is read, or `AudioError` is raised."""
    random = np.random.default_rng(2)
    for kind in ("WAV", "FLAC", "OGG"):
        data = with_soundfile(wave(0.5), kind=kind)
        for _ in range(60):
            damaged = bytearray(data)
            end = min(len(data), int(random.choice([60, len(data)])))  # often only the header
            for position in random.integers(0, end, 3):
                damaged[position] = int(random.integers(256))
            with contextlib.suppress(AudioError):
                assert np.isfinite(load(bytes(damaged)).samples).all()


def with_damaged_packets(folder: Path, every: int) -> Path:
    """An mp4 of 95 AAC packets, of which every n-th is overwritten."""
    path = folder / "a.m4a"
    data = bytearray(with_libav(path, "aac", 48_000))
    with av.open(str(path)) as container:
        packets = [(packet.pos or 0, packet.size) for packet in container.demux() if packet.size]
    for position, size in packets[10:-5:every]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    return path


def test_a_few_damaged_packets_are_skipped_as_players_do(tmp_path: Path) -> None:
    recording = load(with_damaged_packets(tmp_path, every=60))
    assert any("damaged packet" in step for step in recording.account)
    assert recording.duration == pytest.approx(2.0, abs=0.1)


def test_many_damaged_packets_are_refused(tmp_path: Path) -> None:
    assert "the decoder gave up" in refused(with_damaged_packets(tmp_path, every=3))


# Files that are none, and files that cannot be read


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    kinds = {"/dev/zero": "a device", "fifo": "a named pipe", "link": "a named pipe"}
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tmp_path / "socket"))
        for name, kind in {**kinds, "socket": "a socket"}.items():
            path = tmp_path / name
            for read in (load, probe):
                with pytest.raises(AudioError) as refusal:
                    read(path)
                assert str(refusal.value) == f"{path}: is {kind}; give a regular file"


def test_a_file_that_grows_is_read_as_far_as_it_was_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.pcm"
    path.write_bytes(np.full(SAMPLE_RATE, 1_000, "<i2").tobytes() + b"\1\0" * SAMPLE_RATE)
    with open_stream(path) as stream:
        count = 0
        for block in stream:
            with path.open("ab") as file:
                file.write(bytes(100_000))
            count += block.shape[1]
    assert count == 2 * SAMPLE_RATE


class FailingFile(io.BytesIO):
    """A file on a disk that cannot read beyond a position."""

    def __init__(self, data: bytes, good: int) -> None:
        super().__init__(data)
        self.good = good

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() + (size or 0) > self.good:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


class FailingPipe(FailingFile):
    """The same, of a connection."""

    def seekable(self) -> bool:
        return False

    def read1(self, size: int | None = -1) -> bytes:
        return self.read(size)


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus", "m4a, header first", "webm"])
def test_a_read_error_is_told_from_a_damaged_recording(
    tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = ENCODED[kind](tmp_path)
    capfd.readouterr()
    for source in (FailingFile, FailingPipe):
        for good in (0, 5_000, len(data) // 2):
            with pytest.raises(AudioError) as refusal:
                load(source(data, min(good, len(data) - 1)), "talk")
            message = "talk: cannot be read to its end (Input/output error)"
            assert str(refusal.value).startswith(message), (source, good)
    assert capfd.readouterr() == ("", ""), "the decoders must print nothing"


# Decoders that print


@pytest.mark.parametrize("kind", ["SDS", "MP3"])
def test_what_decoders_print_of_damage_is_not_shown(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = with_soundfile(wave(), kind=kind)
    capfd.readouterr()
    random = np.random.default_rng(0)
    for _ in range(20):
        damaged = bytearray(data)
        for place in random.integers(200, len(data), 200):
            damaged[place] = random.integers(256)
        with contextlib.suppress(AudioError):
            load(bytes(damaged))
    assert capfd.readouterr() == ("", "")


def test_what_others_print_meanwhile_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with without_decoder_messages():
        os.write(
            2, b"[src/libmpg123/layer3.c:1] error: x\nwarning: ours\n\nNote: Skipped 3 bytes\n"
        )
        os.write(1, "Error A : 1F\n텍스트\nError 1 : 7\n".encode())
    assert capfd.readouterr() == ("텍스트\nError 1 : 7\n", "warning: ours\n")


# Joined and shortened files


JOINABLE = ["WAV", "AIFF", "FLAC", "AU", "CAF", "RF64", "SDS", "MAT4"]
HEARD_WHOLE = ["MP3", "OGG", "W64", "NIST", "VOC", "MAT5", "AVR"]
HEARD_WHOLE += ["PAF", "PVF", "IRCAM", "XI", "MPC2K", "WVE"]
SAYS_ITS_LENGTH = ["W64", "RF64", "NIST", "SVX", "CAF", "SDS", "VOC"]
SAYS_ITS_LENGTH += ["MAT4", "MAT5", "AVR", "XI", "MPC2K", "WVE"]


@pytest.mark.parametrize("kind", JOINABLE)
def test_of_joined_recordings_it_is_said_that_only_the_first_is_read(kind: str) -> None:
    one, two = with_soundfile(wave(), kind=kind), with_soundfile(wave(1), kind=kind)
    joined = load(one + two + two)
    assert joined.duration == 2.0
    assert "read the first of 3 recordings that were joined in one file" in joined.account
    assert not any("joined" in step for step in load(one).account)


@pytest.mark.parametrize("kind", HEARD_WHOLE)
def test_of_others_that_are_joined_it_is_said_that_all_are_read(kind: str) -> None:
    one, two = encoded(wave(), kind), encoded(wave(1), kind)
    joined = load(one + two + two)
    assert joined.duration == pytest.approx(2 * load(one).duration, abs=0.4)
    assert "read 3 recordings that were joined in one file" in joined.account
    assert not any("joined" in step for step in load(one).account)


def encoded(samples: Wave, kind: str) -> bytes:
    subtype = {"WVE": "ALAW", "XI": "DPCM_16"}.get(kind)
    data = with_soundfile(samples, kind=kind, subtype=subtype)
    if kind == "XI":  # libsndfile writes no length of the sample
        data = data[:298] + (len(data) - 338).to_bytes(4, "little") + data[302:]
    return data


@pytest.mark.parametrize(("name", "codec"), [("a.aac", "aac"), ("a.avi", "aac"), ("a.mkv", "aac")])
def test_joined_files_of_libav_are_all_read(name: str, codec: str, tmp_path: Path) -> None:
    one = with_libav(tmp_path / name, codec, 16_000)
    joined = load(one + one)
    assert joined.duration == pytest.approx(4.1, abs=0.2)
    assert "read 2 recordings that were joined in one file" in joined.account
    assert not any("joined" in step for step in load(one).account)


def test_an_mp3_with_a_title_is_one_recording_and_two_are_two() -> None:
    untitled = with_soundfile(wave(), kind="MP3")
    titled = b"ID3\x04\0\0\0\0\0\x40" + bytes(64) + untitled
    assert not any("joined" in step for step in load(titled).account)
    for second in (titled, untitled):
        assert "read 2 recordings that were joined in one file" in load(titled + second).account


@pytest.mark.parametrize("kind", SAYS_ITS_LENGTH)
def test_a_file_shorter_than_its_container_says_is_refused(kind: str) -> None:
    data = encoded(wave(), kind)
    for size in range(1, 40):  # a header that is cut short as well
        with pytest.raises(AudioError):
            load(data[: 9 * size])
    message = refused(data[: len(data) // 2], "cut")
    promised = re.fullmatch(
        r"cut: cut short or damaged: it promises (\d+) bytes and has (\d+); .*", message
    )
    assert promised
    assert int(promised[1]) == pytest.approx(len(data), abs=130)
    assert int(promised[2]) == len(data) // 2


def test_of_a_video_that_ends_early_it_is_said_how_much_is_there(tmp_path: Path) -> None:
    data = with_libav(tmp_path / "a.avi", "pcm_s16le", 16_000)
    half = load(data[: len(data) // 2])
    assert 0.5 < half.duration < 1.5
    (step,) = [step for step in half.account if "ends early" in step]
    assert step.endswith(f"bytes it has {len(data) // 2:,}")


class _Interrupted(io.BytesIO):
    """A file during one of whose reads Ctrl-C is pressed."""

    def __init__(self, content: bytes, at: int) -> None:
        super().__init__(content)
        self.at, self.reads = at, 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads == self.at:
            signal.raise_signal(signal.SIGINT)
        return super().read(size)


class _InterruptedPipe(_Interrupted):
    """The same, which cannot seek."""

    def seekable(self) -> bool:
        return False

    def read1(self, size: int | None = -1) -> bytes:
        return self.read(min(size or 0, 4096))


@pytest.mark.parametrize("kind", [_Interrupted, _InterruptedPipe])
@pytest.mark.parametrize("container", ["flac", "mp3", "mkv", "aac", "mp4"])
def test_ctrl_c_while_a_decoder_calls_back_is_not_lost(
    container: str, kind: type[_Interrupted], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if container in ("flac", "mp3"):
        content = with_soundfile(wave(), kind=container)
    else:
        content = with_libav(tmp_path / f"a.{container}", "aac", SAMPLE_RATE)
    whole = kind(content, 0)
    expected = load(whole).samples
    for read in range(1, whole.reads + 1):
        interrupted = kind(content, read)
        with pytest.raises(KeyboardInterrupt):
            load(interrupted)
        assert interrupted.reads >= read
    assert "KeyboardInterrupt" not in capfd.readouterr().err
    assert np.array_equal(load(kind(content, 0)).samples, expected)
