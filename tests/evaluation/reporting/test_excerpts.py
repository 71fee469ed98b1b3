"""Clips play what was recorded; pictures of attention show it where it is in time."""

import base64
import io

import av
import numpy as np
import numpy.typing as npt
import torch
from helpers import tones
from PIL import Image

from sorigeul.evaluation.reporting.excerpts import CLIP_SECONDS, attention, clip
from sorigeul.sound.audio import SAMPLE_RATE


def content(uri: str, kind: str) -> io.BytesIO:
    """The bytes of a data: URI."""
    head, encoded = uri.split(",")
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(encoded, validate=True))


def decoded(uri: str) -> npt.NDArray[np.float32]:
    """The samples of a clip at 16 kHz."""
    to_float = av.AudioResampler(format="fltp", layout="mono", rate=SAMPLE_RATE)
    with av.open(content(uri, "audio/webm")) as container:
        frames = [*container.decode(audio=0), None]
        return np.concatenate([p.to_ndarray()[0] for f in frames for p in to_float.resample(f)])


def test_a_clip_sounds_like_the_recording() -> None:
    samples = tones.synthesize("가나다라")
    heard = decoded(clip(samples))
    assert abs(len(heard) - len(samples)) < 0.05 * SAMPLE_RATE
    length = min(len(heard), len(samples))
    spectra = [np.abs(np.fft.rfft(x[:length])) for x in (samples, heard)]
    assert np.corrcoef(*spectra)[0, 1] > 0.9


def test_the_same_samples_are_the_same_clip_and_a_long_one_is_cut_off() -> None:
    noise = np.random.default_rng(0).standard_normal(30 * SAMPLE_RATE).astype(np.float32) / 10
    first = clip(noise)
    assert first == clip(noise)
    assert abs(len(decoded(first)) / SAMPLE_RATE - CLIP_SECONDS) < 0.1
    assert len(first) < 100_000


def test_attention_is_shown_at_its_time() -> None:
    """Frames of 0.1 s from 0.5 to 0.8 s and from 1.5 to 1.6 s of a recording of 2 s."""
    spans = torch.tensor([[0.5, 0.6], [0.6, 0.7], [0.7, 0.8], [1.5, 1.6]])
    alignment = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.25, 0.75, 0.0], [0.0, 0.0, 0.0, 1.0]])
    picture = attention(alignment, spans, ["가", "나", "다"], 2.0)
    assert picture is not None
    assert (picture["characters"], picture["seconds"]) == (["가", "나", "다"], 2.0)
    image = Image.open(content(picture["image"], "image/png")).convert("RGBA")
    opacity = np.asarray(image)[:, :, 3] / 255
    assert opacity.shape == (3, 50)
    columns = np.arange(50) / 25
    for row in range(3):
        for frame, (start, end) in enumerate(spans.tolist()):
            middle = opacity[row, (columns > start - 0.01) & (columns < end - 0.04)]
            expected = np.sqrt(alignment[row, frame].item())
            np.testing.assert_allclose(middle, expected, atol=1 / 15)
    assert not opacity[:, :12].any()
    assert not opacity[:, 21:37].any()
    assert not opacity[:, 41:].any()


def test_of_a_long_recording_the_beginning_is_shown() -> None:
    frames = 400
    edges = torch.linspace(0, 40, frames + 1)
    spans = torch.stack((edges[:-1], edges[1:]), dim=1)
    picture = attention(torch.eye(frames), spans, ["가"] * frames, 40.0)
    assert picture is not None
    assert picture["seconds"] == CLIP_SECONDS
    assert len(picture["characters"]) == frames // 2
    assert len(picture["image"]) < 20_000


def test_nothing_recognised_has_no_picture() -> None:
    assert attention(torch.zeros(0, 0), torch.zeros(0, 2), [], 1.0) is None
    assert attention(torch.zeros(0, 5), torch.zeros(5, 2), [], 1.0) is None
