"""Every format that soundfile and PyAV can write is read back, at the right level and length."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import soxr
from helpers.waves import Wave, wave

from sorigeul.sound.audio import SAMPLE_RATE, load, probe


def best_match(decoded: Wave, original: Wave) -> tuple[float, float]:
    """Correlation and level in relation to the original, at the best delay up to 0.2 s."""
    size = 2 * max(len(decoded), len(original))
    spectrum = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(original, size))
    products = np.fft.irfft(spectrum, size)
    longest = SAMPLE_RATE // 5
    best = max(products[:longest].max(), products[-longest:].max())
    levels = np.linalg.norm(decoded), np.linalg.norm(original)
    return float(best / (levels[0] * levels[1])), float(levels[0] / levels[1])


# libsndfile

# SD2 keeps its header in a second file, the resource fork. Its samples alone are not a recording.
WITHOUT_HEADER = {"RAW", "SD2"}
# The rates of some formats are fixed or coarse.
RATES = {"VOC": 8_000, "WVE": 8_000, "XI": 44_100}
# What telephones send; the others are near the original.
COARSE = {"GSM610": 0.97, "NMS_ADPCM_16": 0.97}


def written_by_soundfile(kind: str, subtype: str) -> tuple[bytes, int] | None:
    """A file and its rate; None if libsndfile cannot write the pair."""
    for rate in (RATES.get(kind, SAMPLE_RATE), 8_000):
        file = io.BytesIO()
        try:
            soundfile.write(file, wave(rate=rate), rate, format=kind, subtype=subtype)
        except soundfile.LibsndfileError:
            continue
        return file.getvalue(), rate
    return None


@pytest.mark.parametrize("kind", sorted(set(soundfile.available_formats()) - WITHOUT_HEADER))
def test_every_format_of_soundfile(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    count = 0
    for subtype in soundfile.available_subtypes(kind):
        written = written_by_soundfile(kind, subtype)
        if written is None:
            continue
        capfd.readouterr()
        count += 1
        recording = load(written[0])
        correlation, level = best_match(recording.samples, wave())
        assert correlation > COARSE.get(subtype, 0.99), subtype
        assert level == pytest.approx(1, abs=0.05), subtype
        assert recording.duration == pytest.approx(2, abs=0.05), subtype
        assert capfd.readouterr() == ("", ""), "the decoders must print nothing"
    assert count


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC", "OGG", "AU", "CAF", "NIST", "W64", "RF64"])
@pytest.mark.parametrize("name", ["a.pcm", "a.raw", "a.mp4"])
def test_a_file_with_a_header_is_known_by_it_whatever_its_name(kind: str, name: str) -> None:
    data, _ = written_by_soundfile(kind, soundfile.default_subtype(kind)) or (b"", 0)
    np.testing.assert_array_equal(load(data, name).samples, load(data).samples)


def test_videos_with_the_name_of_headerless_pcm(tmp_path: Path) -> None:
    for extension, codec, rate in (("m4a", "aac", 44_100), ("webm", "libopus", 48_000)):
        data = written_by_libav(tmp_path / f"a.{extension}", codec, rate).read_bytes()
        np.testing.assert_array_equal(load(data, "a.pcm").samples, load(data).samples)


# libav

PCM = ("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_u8")
LIBAV: list[tuple[str, str, int]] = [
    *((kind, codec, 16_000) for kind in ("mov", "mkv", "avi", "nut") for codec in PCM),
    *((kind, codec, 16_000) for kind in ("mov", "avi") for codec in ("pcm_alaw", "pcm_mulaw")),
    *(
        (kind, "aac", 44_100)
        for kind in ("m4a", "mp4", "mov", "mkv", "aac", "ts", "3gp", "3g2", "flv", "avi", "asf")
    ),
    *(
        (kind, "libmp3lame", 44_100)
        for kind in ("mp3", "mp4", "mkv", "avi", "flv", "ts", "wav", "asf")
    ),
    *((kind, "mp2", 44_100) for kind in ("mp2", "mpg", "ts", "avi", "mkv", "wav")),
    *((kind, "libopus", 48_000) for kind in ("webm", "mkv", "ogg", "opus", "mp4", "ts")),
    *((kind, "vorbis", 48_000) for kind in ("webm", "mkv", "ogg")),
    *((kind, "flac", 48_000) for kind in ("flac", "mkv", "mp4", "ogg", "caf")),
    *((kind, "alac", 48_000) for kind in ("m4a", "mov", "mkv", "caf")),
    *((kind, "ac3", 48_000) for kind in ("ac3", "mp4", "mkv", "ts", "avi", "mpg")),
    *((kind, "eac3", 48_000) for kind in ("eac3", "mp4", "mkv", "ts", "avi")),
    *((kind, codec, 44_100) for kind in ("wma", "avi") for codec in ("wmav1", "wmav2")),
    *((kind, "libopencore_amrnb", 8_000) for kind in ("amr", "3gp", "mov")),
    *((kind, codec, 16_000) for kind in ("wav", "avi") for codec in ("adpcm_ms", "adpcm_ima_wav")),
    ("wav", "adpcm_yamaha", 16_000),
    ("mov", "adpcm_ima_qt", 16_000),
    ("flv", "adpcm_swf", 44_100),
    ("flv", "nellymoser", 44_100),
    ("wav", "g722", 16_000),
    ("g722", "g722", 16_000),
    ("wav", "g726", 8_000),
    ("wv", "wavpack", 16_000),
    ("tta", "tta", 16_000),
    ("sox", "pcm_s32le", 16_000),
    ("adx", "adpcm_adx", 16_000),
]


def written_by_libav(path: Path, codec: str, rate: int) -> Path:
    """Write `wave` with a codec, in a container that the extension of ``path`` decides on."""
    with av.open(str(path), "w") as container:
        # libav calls some of its own encoders, such as that of Vorbis, experimental.
        stream: Any = container.add_stream(codec, rate=rate, options={"strict": "-2"})
        layout = "stereo" if codec == "vorbis" else "mono"
        stream.layout = layout
        if codec.startswith("wma"):
            stream.bit_rate = 96_000
        samples = soxr.resample(wave(), SAMPLE_RATE, rate).astype(np.float32)
        channels = np.stack([samples] * (2 if layout == "stereo" else 1))
        frame = av.AudioFrame.from_ndarray(channels, "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        converter = av.AudioResampler(stream.codec_context.format.name, layout, rate)
        for converted in [*converter.resample(frame), *converter.resample(None), None]:
            container.mux(stream.encode(converted))
    return path


@pytest.mark.parametrize("codec", dict.fromkeys(codec for _, codec, _ in LIBAV))
def test_every_container_and_codec_of_libav(tmp_path: Path, codec: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV has no {codec}")
    for extension, rate in [(kind, rate) for kind, one, rate in LIBAV if one == codec]:
        path = written_by_libav(tmp_path / f"a.{extension}", codec, rate)
        recording = load(path)
        correlation, level = best_match(recording.samples, wave())
        assert correlation > (0.85 if "amr" in codec else 0.97), extension
        assert level == pytest.approx(1, abs=0.1), extension
        assert recording.duration == pytest.approx(2, abs=0.12), extension
        assert probe(path) == pytest.approx(recording.duration, abs=0.05), extension
        heard = " ".join(recording.account)
        assert not any(step in heard for step in ("filled", "added", "dropped", "jumps", "skipped"))
