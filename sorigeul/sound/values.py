"""Refuses or repairs samples that no sound has: not a number, infinite, or absurdly large."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from sorigeul.sound.source import AudioError

_LARGEST = 1e6  # full scale is 1
# A few isolated values are repaired: this many, and this share of the samples up to each of them.
_FEW = 10
_SHARE = 0.001


class ValueCheck:
    """Sets the impossible values of a recording to 0 if they are few, and counts them."""

    def __init__(self, rate: int, name: str) -> None:
        self._rate, self._name = rate, name
        self._position = self._count = 0
        self._first = 0.0

    def checked(
        self, blocks: Iterable[npt.NDArray[np.float32]]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the blocks (channels, n), all of whose values are possible."""
        for block in blocks:
            # The comparison is false for NaN as well.
            if not max(block.max(), -block.min()) <= _LARGEST:
                block = self._repaired(block)
            self._position += block.shape[1]
            yield block

    def _repaired(self, block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        possible = np.abs(block) <= _LARGEST
        samples = self._position + np.flatnonzero(~possible.all(axis=0))
        if not self._count:
            self._first = samples[0] / self._rate
        counts = self._count + np.arange(1, len(samples) + 1)
        if (counts > _FEW + _SHARE * samples).any():
            raise AudioError(
                f"{self._name}: holds values that are not numbers (NaN or infinite) or far above "
                f"full scale, the first at {self._first:.2f} s; export it again, as 16-bit wav for "
                "example"
            )
        self._count += len(samples)
        return np.where(possible, block, np.float32(0))

    @property
    def account(self) -> list[str]:
        """How many values were repaired."""
        if not self._count:
            return []
        values = "1 impossible value" if self._count == 1 else f"{self._count} impossible values"
        return [f"set {values} to 0, the first at {self._first:.2f} s"]
