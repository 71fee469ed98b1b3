"""Makes one channel of several, or chooses one of them.

Legend: n samples, C channels of the recording, K channels that come out.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Block = npt.NDArray[np.float32]

CHOICES = ("auto", "left", "right", "each", "mix")
# The mixing is decided for every second of sound from the sound up to its end, so that it does not
# depend on how the file is cut into blocks.
_DECISION_SECONDS = 1
_DEAD = 1e-5  # share of the loudest channel's energy, -50 dB
_OPPOSITE, _ALIKE = -0.8, 0.0  # correlation with the first channel; between them nothing changes
_PAUSE = 0.01  # share of the mean power; a pause says nothing about the phase
_FADE_SECONDS = 0.05  # from one way of mixing to the next


def is_choice(choice: str) -> bool:
    """Whether a text says which channels are heard: one of `CHOICES`, or a number from 1."""
    # As a float, since `int` fails on thousands of digits.
    return choice in CHOICES or (choice.isascii() and choice.isdecimal() and float(choice) > 0)


def output_channels(choice: str, count: int) -> tuple[str, ...]:
    """The names of the channels that come out of a recording of ``count`` channels."""
    if choice != "each" or count == 1:
        return ("",)
    return _channel_names(count)


def _channel_names(count: int) -> tuple[str, ...]:
    if count == 2:
        return ("left", "right")
    return tuple(str(number) for number in range(1, count + 1))


class Mixer:
    """Turns blocks (C, n) into blocks (K, n).

    ``auto`` is the mean of all channels, but leaves out those that are silent while others are
    not, and inverts those of opposite phase, which would cancel the others out.
    """

    def __init__(self, choice: str, count: int, rate: int) -> None:
        self._choice, self._names, self._rate = choice, _channel_names(count), rate
        self._count = count
        self._loudest = 0.0  # energy of the loudest channel in any block up to now
        self._energy = np.zeros(count)  # of each channel, up to now
        self._samples = 0
        self._weights = np.ones(count, np.float32)  # 1, -1 if inverted, or 0 if left out
        self._sign = np.ones(count, np.float32)
        self._left_out = np.zeros(count, int)  # samples
        self._inverted = np.zeros(count, int)

    def mixed(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the mixed blocks."""
        if self._count == 1 or self._choice == "each":
            yield from blocks
        elif self._choice == "auto":
            yield from map(self._decide_and_mix, _regrouped(blocks, _DECISION_SECONDS * self._rate))
        elif self._choice == "mix":
            for block in blocks:
                yield block.mean(axis=0, keepdims=True)
        else:
            index = self._index()
            for block in blocks:
                yield block[index : index + 1]

    def _index(self) -> int:
        """Which channel is heard, if it is only one."""
        names = {"left": 0, "right": 1}
        return names[self._choice] if self._choice in names else int(self._choice) - 1

    def _decide_and_mix(self, block: Block) -> Block:
        is_first = not self._samples
        before, self._weights = self._weights, self._decide(block)
        self._left_out += block.shape[1] * (self._weights == 0)
        self._inverted += block.shape[1] * (self._weights < 0)
        mixed = _weighted_mean(block, self._weights)
        if not is_first and not np.array_equal(before, self._weights):
            size = min(block.shape[1], round(_FADE_SECONDS * self._rate))
            fade = np.linspace(0, 1, size, dtype=np.float32)
            old = _weighted_mean(block[:, :size], before)
            mixed[:, :size] = fade * mixed[:, :size] + (1 - fade) * old
        return mixed

    def _decide(self, block: Block) -> npt.NDArray[np.float32]:
        """Return the weights of the channels for a block."""
        centred = block - block.mean(axis=1, keepdims=True)
        products = (centred @ centred.T).astype(np.float64)  # (C, C)
        energy = np.diagonal(products)
        size = block.shape[1]
        self._energy += energy
        self._samples += size
        # Of the whole, or of this block: a quiet channel may begin after an hour of the other.
        self._loudest = max(self._loudest, float(energy.max()))
        live = self._energy >= _DEAD * self._energy.max()
        live |= (energy > 0) & (energy >= _DEAD * self._loudest)
        # A short rest at the end of a recording may be of opposite phase by chance.
        is_long = size >= self._rate // 2 or size == self._samples
        if is_long and energy.sum() / size >= _PAUSE * self._energy.sum() / self._samples:
            first = int(np.argmax(live))
            scale = np.sqrt(energy * energy[first])
            correlation = np.divide(
                products[first], scale, out=np.zeros_like(scale), where=scale > 0
            )
            self._sign = np.where(correlation < _OPPOSITE, np.float32(-1), self._sign)
            self._sign = np.where(correlation > _ALIKE, np.float32(1), self._sign)
        return np.where(live, self._sign, np.float32(0))

    @property
    def account(self) -> list[str]:
        """What was mixed, inverted and left out."""
        if self._count == 1:
            is_other = self._choice in ("left", "right", "each")
            return [f"took the only channel there is, for {self._choice}"] if is_other else []
        if self._choice == "each":
            return [f"kept {self._count} channels apart"]
        if self._choice in ("left", "right"):
            return [f"took the {self._choice} one of {self._count} channels"]
        if self._choice.isdecimal():
            return [f"took channel {self._choice} of {self._count}"]
        steps = [f"mixed {self._count} channels down to one"]
        for name, left_out, inverted in zip(
            self._names, self._left_out / self._rate, self._inverted / self._rate, strict=True
        ):
            if left_out:
                steps.append(f"left out channel {name} for {left_out:.2f} s, where it is silent")
            if inverted:
                steps.append(
                    f"inverted channel {name} for {inverted:.2f} s, where its phase is opposite"
                )
        return steps


def _weighted_mean(block: Block, weights: npt.NDArray[np.float32]) -> Block:
    """(C, n) -> (1, n), the mean of the channels whose weight is not 0."""
    if not weights.all():
        block, weights = block[weights != 0], weights[weights != 0]
    if (weights < 0).any():
        block = block * weights[:, None]
    mean: Block = block.mean(axis=0, keepdims=True)
    return mean


def _regrouped(blocks: Iterable[Block], size: int) -> Iterator[Block]:
    """Cut the same samples into blocks of ``size`` samples, and a rest."""
    waiting: list[Block] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += block.shape[1]
        if count >= size:
            joined = np.concatenate(waiting, axis=1)
            whole = count - count % size
            for start in range(0, whole, size):
                yield np.ascontiguousarray(joined[:, start : start + size])
            waiting, count = [joined[:, whole:]], count - whole
    if count:
        yield np.concatenate(waiting, axis=1)
