"""Voice activity: how probable speech is in each window of a recording, by Silero VAD.

Works on a stream. The detector hears a levelled copy of the sound, so that quiet speech and the
quiet side of a call are found too. Does not know where segments begin and end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from sorigeul.sound.audio import Samples

WINDOW = 512
"""samples of a window: the 32 ms that Silero VAD judges at a time"""
_BLOCK_WINDOWS = 16  # judged together, half a second: several times as fast as one by one
_BLOCK_SAMPLES = _BLOCK_WINDOWS * WINDOW
_CONTEXT = 64  # samples of the window before that the detector hears again

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


def _amplified(samples: Samples, gains: Values) -> Tensor:
    """Samples (N,) with the gains (W,) of their windows in dB -> windows (W, 512)."""
    factors = (10 ** (gains / 20)).astype(np.float32)
    padded = np.zeros(len(gains) * WINDOW, np.float32)
    padded[: len(samples)] = samples
    windows = padded.reshape(-1, WINDOW)
    # Without its mean: a constant offset, of a bad sound card, would drown quiet speech.
    centred = windows - windows.mean(axis=1, keepdims=True)
    return torch.from_numpy(centred * factors[:, None]).clamp_(-1, 1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute in one thread: the detector gains nothing from more.

    Its import, too, would leave the whole process with one. And it runs in forked processes that
    read recordings, in which OpenMP hangs if it wants threads.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _load_silero() -> tuple[Any, nn.LSTM]:
    """Silero's network, and its recurrent layer as one that takes many windows at a time."""
    import silero_vad  # imported here: `--help` does not need the model

    network = silero_vad.load_silero_vad()._model
    weights = {
        name.removeprefix("decoder.rnn.") + "_l0": value
        for name, value in network.state_dict().items()
        if name.startswith("decoder.rnn.")
    }
    size = weights["weight_hh_l0"].shape[1]
    # Without initial weights, which would be drawn from the random numbers of the user.
    recurrent = nn.LSTM(size, size, batch_first=True, device="meta")
    recurrent.load_state_dict(weights, assign=True)
    return network, recurrent


class _Detector:
    """Silero VAD on one recording.

    Silero's own interface takes one window at a time. Only its recurrent layer needs to: here the
    layers before it work on all windows of a block together, which gives the same probabilities.
    """

    def __init__(self) -> None:
        with _one_thread():
            self._network, self._recurrent = _load_silero()
        self._context = torch.zeros(_CONTEXT)
        self._state: tuple[Tensor, Tensor] | None = None

    @_one_thread()
    @torch.no_grad()
    def __call__(self, windows: Tensor) -> Values:
        """Successive windows (W, 512) -> the probability of speech in each (W,)."""
        ends = windows[:, -_CONTEXT:]
        contexts = torch.cat((self._context.unsqueeze(0), ends[:-1]))
        self._context = ends[-1]
        network = self._network
        encoded = network.encoder(network.run_extractors(torch.cat((contexts, windows), dim=1)))
        hidden, self._state = self._recurrent(
            encoded.transpose(1, 2).flatten(0, 1)[None], self._state
        )
        probabilities = network.decoder.decoder(hidden[0].unsqueeze(-1))
        return np.asarray(probabilities.flatten().numpy(), np.float32)
