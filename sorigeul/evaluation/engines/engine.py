"""What every engine is given and gives back: utterances, and what it made of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from lhotse import MonoCut

from sorigeul.data.cut_audio import load_cut_audio
from sorigeul.sound.audio import Samples


@dataclass(frozen=True)
class Utterance:
    """An utterance of a prepared corpus, whose sound is read when an engine asks for it."""

    cut: MonoCut

    @property
    def id(self) -> str:
        """As in the manifest."""
        return str(self.cut.id)

    @property
    def seconds(self) -> float:
        """Duration by the manifest."""
        return float(self.cut.duration)

    def load(self) -> Samples:
        """The samples (N,), float32 at 16 kHz. Raises AudioError if they cannot be read."""
        return load_cut_audio(self.cut)


@dataclass(frozen=True)
class Recognized:
    """What an engine made of an utterance."""

    id: str
    text: str
    seconds: float | None = None
    """time that the recognition took, without reading the recording; None if it is not known"""
    error: str = ""
    """why there is no text; empty if there is one"""


class Engine(Protocol):
    """A recogniser to be judged."""

    @property
    def fingerprint(self) -> str:
        """Changes with everything that decides the texts, as far as can be known from here."""

    def transcribe(self, utterances: Sequence[Utterance]) -> Iterator[Recognized]:
        """Recognise each utterance, one after another.

        What fails on one of them is its `Recognized.error`. Raises UserError if the engine cannot
        go on at all.
        """


def pcm16(samples: Samples) -> bytes:
    """Samples (N,) as signed 16-bit little-endian PCM, as other recognisers take it."""
    steps = np.clip(np.rint(samples * 2.0**15), -(2**15), 2**15 - 1)
    return bytes(steps.astype("<i2"))
