"""Voice activity: how probable speech is in each window of a recording, by Silero VAD.

Works on a stream. The detector hears a levelled copy of the sound, so that quiet speech and the
quiet side of a call are found too. Does not know where segments begin and end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigeul.sound.audio import Samples

WINDOW = 512
"""samples of a window: the 32 ms that Silero VAD judges at a time"""
_BLOCK_WINDOWS = 16  # judged together, half a second: several times as fast as one by one
_BLOCK_SAMPLES = _BLOCK_WINDOWS * WINDOW
_CONTEXT = 64  # samples of the window before that the detector hears again
_STATE = 128  # numbers that its recurrent layer keeps, twice
_NETWORK = Path(__file__).parent / "silero_vad" / "silero_vad_16k_sequence.onnx"
"""as in the wheel of silero-vad 6.2.3, which needs PyTorch itself"""

_TARGET_LEVEL = -20.0  # dB; speech is brought to this level
_LEVEL_REACH = 16  # windows on either side in which the loudest one sets the gain: half a second
_MAX_STEP_DOWN = 40.0  # dB below the loudest speech so far; what is quieter is not made loud
_LOWEST_LEVEL = -85.0  # dB; what is quieter is the rounding noise of 16-bit audio
_MAX_RISE = 3.0  # dB a window; a jump in the noise of a room would sound like a voice
_FORGETTING = 0.02  # dB a window, by which the loudest level so far falls: 0.6 dB a second

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ActivityBlock:
    """A stretch of a recording, with what the detector found in it."""

    samples: Samples
    """(N,), W windows long; the last block of a recording may end within a window"""
    probabilities: Values
    """probability of speech in each window (W,)"""
    levels: Values
    """mean power of each window in dB, where full scale is 0 (W,)"""


class VoiceActivity:
    """Finds the voice activity of one recording, as its samples come.

    The results do not depend on how the recording is cut into blocks.
    """

    def __init__(self) -> None:
        self._samples = np.empty(0, np.float32)
        self._leveller, self._detector = _Leveller(), _Detector()

    def feed(self, samples: Samples) -> Iterator[ActivityBlock]:
        """The next samples (n,) at 16 kHz -> the stretches that can be judged now."""
        self._samples = np.concatenate((self._samples, samples))
        whole = len(self._samples) - len(self._samples) % _BLOCK_SAMPLES
        blocks, self._samples = self._samples[:whole], self._samples[whole:]
        for block in blocks.reshape(-1, _BLOCK_SAMPLES):
            yield from self._judge(self._leveller.feed(block))

    def finish(self) -> Iterator[ActivityBlock]:
        """The rest of the recording."""
        if len(self._samples):
            yield from self._judge(self._leveller.feed(self._samples))
        yield from self._judge(self._leveller.finish())

    def _judge(self, levelled: "_LevelledBlock | None") -> Iterator[ActivityBlock]:
        if levelled is not None:
            windows = _amplified(levelled.samples, levelled.gains)
            yield ActivityBlock(levelled.samples, self._detector(windows), levelled.levels)


def _levels(samples: Samples) -> Values:
    """Power in dB of each window (W,), without its mean; the last one may be incomplete."""
    starts = np.arange(0, len(samples), WINDOW)
    sizes = np.minimum(len(samples) - starts, WINDOW)
    exact = samples.astype(np.float64)
    means = np.add.reduceat(exact, starts) / sizes
    power = np.add.reduceat(exact**2, starts) / sizes - means**2
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12)), np.float32)


@dataclass(frozen=True, eq=False)
class _LevelledBlock:
    """A stretch of a recording (N,) with the levels and the gains of its windows in dB (W,)."""

    samples: Samples
    levels: Values
    gains: Values


class _Leveller:
    """Finds the gain that brings speech to one level, over a window that slides along.

    A louder neighbour sets the gain for half a second on both sides. What is much quieter than the
    loudest sound of the last minute stays quiet: it is the noise of the room.
    """

    def __init__(self) -> None:
        self._loudest = _LOWEST_LEVEL
        self._gain = np.inf  # of the window before
        self._before = self._levels = np.empty(0, np.float32)
        self._block: Samples | None = None

    def feed(self, block: Samples) -> _LevelledBlock | None:
        """Take the next block (N,), and return the one before, if there is one."""
        return self._shift(block, _levels(block))

    def finish(self) -> _LevelledBlock | None:
        """Return the last block."""
        return self._shift(None, np.empty(0, np.float32))

    def _shift(self, block: Samples | None, after: Values) -> _LevelledBlock | None:
        levelled = None
        if self._block is not None:
            gains = self._gains(self._before, self._levels, after)
            levelled = _LevelledBlock(self._block, self._levels, gains)
        self._before, self._levels, self._block = self._levels, after, block
        return levelled

    def _gains(self, before: Values, levels: Values, after: Values) -> Values:
        """The gains of the windows with these `levels`, from those and their neighbours'."""
        lead = min(len(before), _LEVEL_REACH)
        near = np.concatenate((before[len(before) - lead :], levels, after[:_LEVEL_REACH]))
        gains = np.empty(len(levels), np.float32)
        for index in range(len(levels)):
            place = lead + index
            local = near[max(0, place - _LEVEL_REACH) : place + _LEVEL_REACH + 1].max()
            self._loudest = max(self._loudest - _FORGETTING, local)
            floor = max(self._loudest - _MAX_STEP_DOWN, _LOWEST_LEVEL)
            self._gain = min(_TARGET_LEVEL - max(local, floor), self._gain + _MAX_RISE)
            gains[index] = self._gain
        return gains


def _amplified(samples: Samples, gains: Values) -> Values:
    """Samples (N,) with the gains (W,) of their windows in dB -> windows (W, 512)."""
    factors = (10 ** (gains / 20)).astype(np.float32)
    padded = np.zeros(len(gains) * WINDOW, np.float32)
    padded[: len(samples)] = samples
    windows = padded.reshape(-1, WINDOW)
    # Without its mean: a constant offset, of a bad sound card, would drown quiet speech.
    centred = windows - windows.mean(axis=1, keepdims=True)
    return np.asarray((centred * factors[:, None]).clip(-1, 1), np.float32)


@cache
def _load_silero() -> Any:
    """Silero's network for successive windows, in ONNX Runtime.

    In one thread: the detector gains nothing from more, and it runs in forked processes that read
    recordings, which have none of their parent's threads.
    """
    import onnxruntime  # imported here: `--help` does not need the model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(_NETWORK, options, providers=["CPUExecutionProvider"])


class _Detector:
    """Silero VAD on one recording. Many windows are judged at a time, which is faster."""

    def __init__(self) -> None:
        self._network = _load_silero()
        self._context = np.zeros(_CONTEXT, np.float32)
        self._state = np.zeros((2, 1, 1, _STATE), np.float32)

    def __call__(self, windows: Values) -> Values:
        """Successive windows (W, 512) -> the probability of speech in each (W,)."""
        ends = windows[:, -_CONTEXT:]
        contexts = np.concatenate((self._context[None], ends[:-1]))
        self._context = ends[-1]
        hidden, cells = self._state
        feeds = {"input": np.concatenate((contexts, windows), axis=1), "h": hidden, "c": cells}
        names = ["speech_probs", "hn", "cn"]
        probabilities, *state = self._network.run(names, feeds)
        self._state = np.stack(state)
        return np.asarray(probabilities, np.float32)
