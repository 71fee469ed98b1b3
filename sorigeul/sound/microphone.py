"""Sound as it comes: from a microphone by PortAudio (extra `mic`), or as a player plays a file."""

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from sorigeul.base.errors import UserError
from sorigeul.sound.audio import SAMPLE_RATE, Samples, open_stream

_LONGEST_BACKLOG = 60.0  # seconds that may wait to be read; what comes then is lost
_REMEDY = "connect or choose one (--list_devices), or give --file RECORDING in its place"
_BLOCK = SAMPLE_RATE // 10  # samples that a file gives at a time
_POLL_SECONDS = 0.2  # after which a silent microphone gives nothing, so that one can stop


@dataclass(frozen=True)
class LiveSound:
    """A sound that is heard now."""

    blocks: Iterator[Samples]
    """samples (n,) at 16 kHz as they come; AudioError if a file turns out to be damaged"""
    account: Callable[[], tuple[str, ...]]
    """afterwards: what was done to them"""


class Microphone:
    """An open microphone, recorded at its own rate and resampled to 16 kHz."""

    def __init__(self, name: str, rate: int) -> None:
        self.name, self.rate = name, rate
        self.gaps = 0
        """how often samples were lost, because the machine was too busy to take them"""
        self._blocks: queue.SimpleQueue[Samples] = queue.SimpleQueue()
        self._waiting = 0  # samples that were recorded, and read
        self._read = 0
        self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")

    @property
    def account(self) -> tuple[str, ...]:
        """What was done to the sound."""
        steps = [f"recorded from {self.name!r}"]
        if self.rate != SAMPLE_RATE:
            steps.append(f"resampled from {self.rate} Hz to {SAMPLE_RATE} Hz")
        if self.gaps:
            steps.append(f"lost some sound {self.gaps} times: the machine was too busy")
        return tuple(steps)

    def read(self, timeout: float) -> Samples:
        """All samples (n,) that were recorded since the last call.

        If there are none yet, wait for some; without any after `timeout` seconds, none.
        """
        try:
            blocks = [self._blocks.get(timeout=timeout)]
            while not self._blocks.empty():
                blocks.append(self._blocks.get())
        except queue.Empty:
            return np.empty(0, np.float32)
        recorded = np.concatenate(blocks)
        self._read += len(recorded)
        return np.asarray(self._resampler.resample_chunk(recorded), np.float32)

    def _record(self, block: Any, frames: int, _: Any, status: Any) -> None:
        """Called by PortAudio, in a thread of its own, with frames (n, 1)."""
        waiting = self._waiting - self._read
        if status.input_overflow or waiting > _LONGEST_BACKLOG * self.rate:
            self.gaps += 1
        if waiting <= _LONGEST_BACKLOG * self.rate:
            self._waiting += frames
            self._blocks.put(block[:, 0].copy())


@contextmanager
def open_microphone(device: str = "") -> Iterator[Microphone]:
    """Record from a device, by its number or a part of its name; the default one without.

    Raises UserError if PortAudio is missing, or there is no such device.
    """
    sounddevice = _sounddevice()
    chosen = int(device) if device.isdecimal() else device or None
    try:
        found = sounddevice.query_devices(chosen, "input")
        microphone = Microphone(found["name"], round(found["default_samplerate"]))
        stream = sounddevice.InputStream(
            samplerate=microphone.rate,
            device=chosen,
            channels=1,
            dtype="float32",
            callback=microphone._record,
        )
        stream.start()
    except (ValueError, sounddevice.PortAudioError) as error:
        reason = " ".join(str(error).split())
        which = f"microphone {device!r}" if device else "microphone"
        raise UserError(f"no {which} can be used ({reason}): {_REMEDY}") from None
    try:
        yield microphone
    finally:
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)


@contextmanager
def hear_microphone(device: str = "") -> Iterator[LiveSound]:
    """What a microphone hears, for ever. The argument and errors are those of `open_microphone`."""
    with open_microphone(device) as microphone:

        def blocks() -> Iterator[Samples]:
            microphone.read(0)  # what was said while the model was loaded
            while True:
                yield microphone.read(_POLL_SECONDS)

        yield LiveSound(blocks(), lambda: microphone.account)


@contextmanager
def hear_file(path: Path, fast: bool = False) -> Iterator[LiveSound]:
    """A recording at the speed of a player, or as `fast` as possible.

    Raises AudioError if it cannot be read.
    """
    with open_stream(path) as stream:

        def blocks() -> Iterator[Samples]:
            begin, count = time.monotonic(), 0
            for (block,) in stream:
                for first in range(0, len(block), _BLOCK):
                    samples = block[first : first + _BLOCK]
                    count += len(samples)
                    # They have been heard once the player is at their end.
                    wait = begin + count / SAMPLE_RATE - time.monotonic()
                    if wait > 0 and not fast:
                        time.sleep(wait)
                    yield samples

        yield LiveSound(blocks(), lambda: stream.account)


def microphones() -> list[str]:
    """A line for each device: its number, its name, its rate, and whether it is the default.

    Raises UserError if PortAudio is missing.
    """
    sounddevice = _sounddevice()
    default = sounddevice.default.device[0]
    return [
        f"{number}: {device['name']} ({device['default_samplerate']:.0f} Hz)"
        + (", default" if number == default else "")
        for number, device in enumerate(sounddevice.query_devices())
        if device["max_input_channels"] > 0
    ]


def _sounddevice() -> Any:
    try:
        import sounddevice  # type: ignore[import-untyped]
    except ImportError:
        raise UserError(
            "listening needs another library: pip install 'sorigeul[mic]', or give --file RECORDING"
        ) from None
    except OSError:
        raise UserError(
            "PortAudio is missing: apt install libportaudio2 (Debian, Ubuntu), or dnf install "
            "portaudio (Fedora); or give --file RECORDING"
        ) from None
    return sounddevice
