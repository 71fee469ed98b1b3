"""Degradations of speech by name, such as "rir:0.4+noise:10": for evaluation and for training.

They are applied from left to right. Each random choice depends only on the draw key and the name,
so the same noise comes back at every ratio.

- ``noise:DB``, ``white:DB``, ``brown:DB``: pink, white and brown noise at this signal-to-noise
  ratio. Pink is the nearest to a room, with equal power in each octave above 50 Hz.
- ``hum:DB``: mains hum, 60 Hz with nine harmonics.
- ``babble:DB``: six of the voices that the caller gives, at once; without any, the utterance itself
  backwards at six speeds.
- ``rir:SECONDS``: a room with this reverberation time, the speaker at 0.5 to 2 m.
- ``telephone``: 300 to 3400 Hz, mu-law at 8 kHz.
- ``mp3:KBPS``, ``opus:KBPS``, ``amr:KBPS``: encoded at this rate and decoded.
- ``level:DB``: louder, or quieter if negative, in the steps of 16 bits.
- ``clip:DB``: peaks cut off this far below the highest.
- ``silence:SECONDS``: so much of the faint noise of a room (-72 to -60 dBFS) in all, before and
  after the utterance. Noise that comes later goes on in it, and its ratio counts the silence too.

Microseconds for a second of speech (utterances of 2.5 to 6 s on one busy core of an EPYC): clip 30,
level 90, silence and hum 150, noises 600, babble 600 (1,600 without voices), rir 900, telephone
1,100, mp3 and amr 8,000, opus 11,000.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sorigeul.base.errors import UserError
from sorigeul.sound import noises, room, transmission
from sorigeul.sound.audio import Samples

MAX_SILENCE = 60.0
"""seconds; a whole batch of utterances with so much around them must fit in memory"""


class _Input(NamedTuple):
    """What a degradation gets."""

    samples: Samples
    value: float
    random: np.random.Generator
    voices: Sequence[Samples]


class _Kind(NamedTuple):
    apply: Callable[[_Input], Samples]
    unit: str = ""
    """of the value; empty: there is no value"""
    low: float = 0.0
    high: float = 0.0


def _in_noise(make: Callable[[_Input], Samples]) -> _Kind:
    """A kind that adds a noise (N,) with mean power 1; its value is the ratio in dB."""
    return _Kind(lambda got: noises.add_noise(got.samples, make(got), got.value), "DB", -100, 100)


def _in_color(color: str) -> _Kind:
    return _in_noise(lambda got: noises.color_noise(len(got.samples), color, got.random))


def _through_codec(codec: str, low: float, high: float) -> _Kind:
    return _Kind(
        lambda got: transmission.through_codec(got.samples, codec, got.value), "KBPS", low, high
    )


_KINDS = {
    "noise": _in_color("pink"),
    "white": _in_color("white"),
    "brown": _in_color("brown"),
    "hum": _in_noise(lambda got: noises.mains_hum(len(got.samples), got.random)),
    "babble": _in_noise(lambda got: noises.babble(got.samples, got.voices, got.random)),
    "rir": _Kind(
        lambda got: room.reverberate(got.samples, room.room_response(got.value, got.random)),
        "SECONDS",
        0.05,
        10,
    ),
    "telephone": _Kind(lambda got: transmission.telephone(got.samples)),
    "mp3": _through_codec("mp3", 8, 160),
    "opus": _through_codec("opus", 6, 128),
    "amr": _through_codec("amr", 4.75, 12.2),
    "level": _Kind(lambda got: transmission.change_level(got.samples, got.value), "DB", -80, 60),
    "clip": _Kind(lambda got: transmission.clip(got.samples, got.value), "DB", 0, 60),
    "silence": _Kind(
        lambda got: noises.silence_around(got.samples, got.value, got.random),
        "SECONDS",
        0,
        MAX_SILENCE,
    ),
}


class Step(NamedTuple):
    """One of the degradations in a text."""

    name: str
    value: float | None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value:g}"


@dataclass(frozen=True)
class Degradation:
    """Degradations of speech that are applied one after the other."""

    steps: tuple[Step, ...]
    voices: Sequence[Samples] = field(default=(), compare=False, repr=False)
    """utterances of which to make babble; none: it is made of the utterance itself, backwards"""

    @classmethod
    def parse(cls, text: str, voices: Sequence[Samples] = ()) -> "Degradation":
        """The degradation that a text like "rir:0.4+noise:10" names.

        Raises:
            UserError: if a name or a value is wrong; it lists what there is.
        """
        return cls(tuple(_parse_step(step.strip(), text) for step in text.split("+")), voices)

    def __str__(self) -> str:
        return "+".join(map(str, self.steps))

    def apply(self, samples: Samples, draw_key: str) -> Samples:
        """Samples float32 (N,) at 16 kHz -> (M,); M differs from N only if there is silence."""
        for name, value in self.steps:
            # NumPy takes a list of numbers of any length as a seed.
            random = np.random.default_rng(list(f"{draw_key}/{name}".encode()))
            samples = _KINDS[name].apply(_Input(samples, value or 0.0, random, self.voices))
        return samples

    @property
    def needs_voices(self) -> bool:
        """Whether it makes babble."""
        return any(step.name == "babble" for step in self.steps)

    @property
    def added_seconds(self) -> float:
        """Seconds by which an utterance gets longer."""
        return sum(value or 0.0 for name, value in self.steps if name == "silence")


def degradation_names() -> list[str]:
    """All there are, as they are to be written: noise:DB, telephone, and so on."""
    return [f"{name}:{kind.unit}" if kind.unit else name for name, kind in _KINDS.items()]


def _parse_step(step: str, text: str) -> Step:
    name, colon, number = step.partition(":")
    kind = _KINDS.get(name)
    if kind is None:
        raise UserError(
            f"degradation '{text}': there is none called '{name}'; there are "
            f"{', '.join(degradation_names())}, joined by +"
        )
    if not kind.unit:
        if colon:
            raise UserError(f"degradation '{text}': {name} takes no value; write just {name}")
        return Step(name, None)
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not kind.low <= value <= kind.high:
        raise UserError(
            f"degradation '{text}': write {name}:{kind.unit}, a number between {kind.low:g} and "
            f"{kind.high:g}, not '{step}'"
        )
    return Step(name, value)
