"""What a corpus reader yields: utterances, rejected items and the layout it recognised."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sorigeul.corpora.options import PrepareOptions


@dataclass(frozen=True)
class Utterance:
    """One recording of one speaker and what was said in it.

    A reader gives the transcript as the corpus has it, or the file it is in, and leaves the last
    three fields 0; ``prepare`` normalises the text and measures.
    """

    id: str
    audio: Path
    text: str
    speaker: str | None = None
    split: str | None = None
    """``train``, ``dev``, ``test`` (KsponSpeech: ``eval_clean``, ``eval_other`` too); None where
    the corpus has no split of its own."""
    where: str = ""
    """The file and line the transcript came from, relative to the source: ``train.trn:12``."""
    transcript: Path | None = None
    """A file whose whole content is the text; ``text`` is empty then."""
    duration: float = 0.0
    """Seconds."""
    size: int = 0
    """Bytes of the audio file."""
    modified: int = 0
    """When the audio file was last written to, in nanoseconds since 1970."""


@dataclass(frozen=True)
class Rejected:
    """An item that cannot be used, with the reason, and the file (and line) it came from."""

    item: str
    reason: str
    where: str


@dataclass(frozen=True)
class Layout:
    """The layout a reader recognised; yielded at most once, before the first item.

    ``published`` maps one of the corpus's own splits, or ``all``, to its published counts
    (``utterances``, ``hours``, ``speakers``, as far as they are known). ``items`` says how many
    items are to come, more or less, where that is known.
    """

    name: str
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    items: int | None = None


Reader = Callable[[Path | None, Path, PrepareOptions], Iterator[Utterance | Rejected | Layout]]
"""``read(source, out, options)``: yields a corpus's items in an order that never changes.

``source`` is None where none was given: a reader that needs one raises UserError. A reader may
write under ``out`` (the demo corpus puts its audio in ``out / "audio"``), never elsewhere.
"""


def _plain(options: PrepareOptions) -> str:
    del options
    return "plain"


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be prepared: its name, its reader, its normaliser."""

    name: str
    read: Reader
    normalizer_name: Callable[[PrepareOptions], str] = _plain
    """Options -> the name of the normaliser for its transcripts."""
    reads_text_file: bool = False
    """Whether the option ``text`` may name a file of sentences to say."""
