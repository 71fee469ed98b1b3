"""Places decoded sound where a player plays it, by its time stamps."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

TOLERANCE = 0.05  # s; time stamps are rounded, and decoders have delays
_LONGEST_OVERLAP = 1.0  # s; a longer step back means that the clock was set anew
_MOST_DROPPED = 0.1  # share of the sound; where more would be dropped, the time stamps are wrong


class Timeline:
    """Puts silence where the time stamps leave a hole, and drops what overlaps.

    ``origin``: the time stamp, in seconds, at which a player starts. ``longest_hole``: seconds; a
    longer one means that the clock was set anew, and the sound goes on without a hole.
    ``decoder_delay``: seconds by which the first time stamp may be late without a reason.
    """

    def __init__(
        self,
        rate: int,
        channels: int,
        origin: float,
        longest_hole: float,
        decoder_delay: float = 0.0,
    ) -> None:
        self._rate, self._channels = rate, channels
        self._origin, self._longest_hole = origin, longest_hole
        self._decoder_delay = decoder_delay
        self._position = 0  # samples
        self._delay = self._dropped = 0
        self._holes: list[int] = []
        self.jumps = 0
        """how often the clock was set anew"""

    @property
    def seconds(self) -> float:
        """How long the sound is so far, with the silence before it."""
        return self._position / self._rate

    def place(
        self, stamp: float | None, samples: npt.NDArray[np.float32]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """Yield samples (channels, n), after silence in blocks if they are heard later.

        ``stamp``: their time stamp in seconds, None if they have none.
        """
        if stamp is not None:
            missing = stamp - self._origin - self.seconds
            if not self._position and 0 < missing <= self._decoder_delay:
                self._origin += missing
                missing = 0.0
            if missing > self._longest_hole or self._is_step_back(missing):
                self.jumps += 1
                self._origin += missing
            elif missing > TOLERANCE:
                yield from self._silence(round(missing * self._rate))
            elif missing < -TOLERANCE:
                overlap = min(samples.shape[1], round(-missing * self._rate))
                self._dropped += overlap
                samples = samples[:, overlap:]
        if samples.size:
            self._position += samples.shape[1]
            yield samples

    def _is_step_back(self, missing: float) -> bool:
        dropped = self._dropped / self._rate - missing
        return missing < -TOLERANCE and (
            missing < -_LONGEST_OVERLAP or dropped > _LONGEST_OVERLAP + _MOST_DROPPED * self.seconds
        )

    def _silence(self, size: int) -> Iterator[npt.NDArray[np.float32]]:
        if self._position:
            self._holes.append(size)
        else:
            self._delay = size
        self._position += size
        for start in range(0, size, self._rate):
            yield np.zeros((self._channels, min(self._rate, size - start)), np.float32)

    @property
    def account(self) -> list[str]:
        """What was added and dropped."""
        steps = []
        if self._delay:
            steps.append(f"added {self._delay / self._rate:.2f} s of silence before the sound")
        if self._holes:
            seconds = sum(self._holes) / self._rate
            steps.append(
                f"filled 1 hole of {seconds:.2f} s"
                if len(self._holes) == 1
                else f"filled {len(self._holes)} holes of {seconds:.2f} s together"
            )
        if self._dropped:
            steps.append(f"dropped {self._dropped / self._rate:.2f} s of overlapping sound")
        if self.jumps:
            times = "once" if self.jumps == 1 else f"{self.jumps} times"
            steps.append(f"went on without a gap where the clock of the file jumps ({times})")
        return steps
