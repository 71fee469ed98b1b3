"""What a corpus reader yields and is told. Knows nothing of folders, formats or manifests."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sorigeul.errors import UserError


@dataclass(frozen=True)
class Utterance:
    """One recording of one speaker and what was said in it.

    A reader gives the transcript as the corpus has it and leaves ``duration`` 0; ``prepare``
    normalises the text and measures the duration (seconds).
    """

    id: str
    audio: Path
    text: str
    speaker: str | None = None
    split: str | None = None
    """``train``, ``dev``, ``test`` (KsponSpeech: ``eval_clean``, ``eval_other`` too); None where
    the corpus has no split of its own."""
    duration: float = 0.0
    where: str = ""
    """The file and line the transcript came from, relative to the source: ``train.trn:12``."""


@dataclass(frozen=True)
class Rejected:
    """An item that cannot be used, why, and the file (and line) that shows it."""

    item: str
    reason: str
    where: str


@dataclass(frozen=True)
class Layout:
    """What a reader recognised; told at most once, before the first item.

    ``published`` maps one of the corpus's own splits, or ``all``, to its published counts
    (``utterances``, ``hours``, ``speakers``, as far as they are known).
    """

    name: str
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PrepareOptions:
    """How a corpus becomes manifests."""

    text: Literal["pronunciation", "spelling"] = "pronunciation"
    """KsponSpeech only: which side of a dual transcription such as (70%)/(칠십 퍼센트) to keep."""
    seed: int = 0
    """Seed of every random choice: the split, and the voices of the demo corpus."""
    max_duration: float = 35.0
    """Seconds; longer utterances are rejected, and so are those under 0.1 s."""
    dev_share: float = 0.1
    """Share of the speech that becomes dev where the corpus has no dev of its own."""
    test_share: float = 0.1
    """Share of the speech that becomes test where the corpus has no test of its own."""
    utterances: int = 3000
    """Demo only: how many utterances to synthesise."""

    def __post_init__(self) -> None:
        """Refuse settings that leave nothing to train on."""
        if min(self.dev_share, self.test_share) <= 0 or self.dev_share + self.test_share >= 1:
            raise UserError(
                f"dev_share {self.dev_share} and test_share {self.test_share}: "
                "each must be above 0, and together below 1"
            )
        if self.max_duration <= 0.1:
            raise UserError(f"max_duration {self.max_duration}: must be above 0.1 seconds")
        if self.utterances < 1:
            raise UserError(f"utterances {self.utterances}: must be at least 1")


Reader = Callable[[Path | None, Path, PrepareOptions], Iterator[Utterance | Rejected | Layout]]
"""``read(source, out, options)``: yields a corpus's items in an order that never changes.

``source`` is None where none was given: a reader that needs one raises UserError. A reader may
write under ``out`` (the demo corpus puts its audio in ``out / "audio"``), never elsewhere.
"""
