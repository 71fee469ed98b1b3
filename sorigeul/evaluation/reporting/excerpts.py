"""Sound and attention of an utterance, small enough to lie in a page by the dozen."""

import base64
import struct
import zlib
from io import BytesIO
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from torch import Tensor

from sorigeul.sound.audio import SAMPLE_RATE, Samples

CLIP_SECONDS = 20.0
"""of a clip and of the attention at most; the rest is left out"""
_BITS_PER_SECOND = 24_000
_QUICK = {"compression_level": "5"}  # half of the time of the default, 10
_FADE = 160  # samples at the end of a clip that was cut off, so that it does not click
_COLUMNS_PER_SECOND = 25  # of a picture of attention; a listener frame is 40 ms or longer
_LEVELS = 16  # of attention
_INK = (37, 99, 235)  # red, green, blue; shows on light and on dark


def clip(samples: Samples) -> str:
    """Samples (N,) at 16 kHz as a data: URI that browsers play (Opus in WebM); `CLIP_SECONDS`.

    The same samples give the same text.
    """
    kept = np.array(samples[: int(CLIP_SECONDS * SAMPLE_RATE)], np.float32)
    if len(kept) < len(samples):
        kept[-_FADE:] *= np.linspace(1, 0, _FADE, dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(kept[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE, 0
    file = BytesIO()
    # bitexact leaves out the random number that names a WebM file
    with av.open(file, "w", format="webm", container_options={"fflags": "bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE, options=_QUICK, layout="mono")
        stream.bit_rate = _BITS_PER_SECOND
        for frame_or_end in (frame, None):  # None flushes the encoder
            container.mux(stream.encode(frame_or_end))
    return _data_uri("audio/webm", file.getvalue())


def attention(
    alignment: Tensor, frame_spans: Tensor, characters: list[str], seconds: float
) -> dict[str, Any] | None:
    """A picture of the attention over time: a PNG with a row for each character.

    Parameters
    ----------
    alignment : (U, S), as of `RecognizedUtterance`
    frame_spans : start and end of each listener frame in seconds of the recording (S, 2), in order
    characters : (U)
    seconds : how long the recording is; what is after `CLIP_SECONDS` is left out

    Returns
    -------
    `image`, a data: URI; `characters`, those of its rows; `seconds`, how long it is. None if there
    is nothing to see
    """
    shown = min(seconds, CLIP_SECONDS)
    starts, ends = frame_spans.T.double().numpy() if len(frame_spans) else np.zeros((2, 0))
    if not characters or not len(starts) or shown <= 0:
        return None
    # The characters that attend to what is shown are the first ones.
    peaks = starts[alignment.argmax(1).cpu().numpy()]
    rows = int(np.count_nonzero(np.maximum.accumulate(peaks) < shown))
    columns = max(1, round(shown * _COLUMNS_PER_SECOND))
    times = (np.arange(columns) + 0.5) * shown / columns
    frames = np.searchsorted(starts, times, side="right") - 1
    inside = (frames >= 0) & (times < ends[frames])
    weights = alignment[:rows].double().cpu().numpy()[:, frames.clip(0)] * inside
    levels = np.round(np.sqrt(weights.clip(0, 1)) * (_LEVELS - 1)).astype(np.uint8)
    if not rows:
        return None
    return {
        "image": _data_uri("image/png", _png(levels)),
        "characters": characters[:rows],
        "seconds": shown,
    }


def _png(levels: npt.NDArray[np.uint8]) -> bytes:
    """Levels (H, W) from 0 to 15 as a PNG of one colour, from transparent to opaque.

    Four bits a pixel that choose from a palette (PNG specification, sections 11.2 and 11.3).
    """
    height, width = levels.shape
    even = np.pad(levels, ((0, 0), (0, width % 2)))
    packed = even[:, ::2] << 4 | even[:, 1::2]
    lines = np.pad(packed, ((0, 0), (1, 0)))  # each line begins with its filter: 0, none
    opacity = bytes(round(255 * level / (_LEVELS - 1)) for level in range(_LEVELS))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)),
        (b"PLTE", bytes(_INK) * _LEVELS),
        (b"tRNS", opacity),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
