"""Utterance, Rejected, Layout: what a corpus reader yields. Corpus: a reader and its normaliser.

Does not know about folders, file formats or manifests.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sorigeul.corpora.options import PrepareOptions
from sorigeul.corpora.sound_faults import SoundFault
from sorigeul.sound.archive_members import ArchiveMember


@dataclass(frozen=True)
class Utterance:
    """One recording of one speaker and its transcript.

    A reader gives the transcript as the corpus has it, or the file that holds it, and leaves the
    fields from ``duration`` on empty. ``prepare`` normalises the text and measures the recording.
    """

    id: str
    audio: Path
    text: str
    speaker: str | None = None
    split: str | None = None
    """``train``, ``dev``, ``test`` (KsponSpeech: also ``eval_clean``, ``eval_other``); None if the
    corpus does not assign the utterance to a split"""
    where: str = ""
    """file and line of the transcript, relative to the source: ``train.trn:12``"""
    transcript: Path | None = None
    """a file whose whole content is the text; ``text`` is empty then"""
    start: float | None = None
    """where it begins in a longer recording, in seconds; None: it is the whole recording"""
    end: float | None = None
    """where it ends in a longer recording, in seconds"""
    member: ArchiveMember | None = None
    """the recording within ``audio``, if that is a zip file"""
    duration: float = 0.0
    """in seconds"""
    recording_duration: float = 0.0
    """of the whole recording, in seconds"""
    size: int = 0
    """of the audio file, in bytes"""
    modified: int = 0
    """time of the last change of the audio file, in nanoseconds since 1970"""
    invisible: str = ""
    """characters that nobody sees, which were removed from the transcript"""
    marks: str = ""
    """kinds of transcription marks that the normaliser does not read, with spaces between them"""
    faults: tuple[SoundFault, ...] | None = None
    """what is wrong with the sound; None if only the header was read"""

    @property
    def recording_name(self) -> str:
        """The path of the recording; within a zip file, it is that of the zip file and its own."""
        return f"{self.audio}/{self.member.name}" if self.member else str(self.audio)

    @property
    def measured_name(self) -> str:
        """A name for what is measured: the recording, or the part of it."""
        part = f"#{self.start:.3f}-{self.end:.3f}" if self.is_part else ""
        return self.recording_name + part

    @property
    def is_part(self) -> bool:
        """Whether it is a part of a longer recording."""
        return self.start is not None


@dataclass(frozen=True)
class Rejected:
    """An item that cannot be used, the reason, and the file (and line) where it was found."""

    item: str
    reason: str
    where: str


@dataclass(frozen=True)
class FaultyRecording:
    """An utterance that is used although its sound is suspect, why, and where its text is."""

    item: str
    reason: str
    where: str


@dataclass(frozen=True)
class Layout:
    """The layout that a reader recognised. Yielded at most once, before the first item."""

    name: str
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """published counts (``utterances``, ``hours``, ``speakers``, if known) by the corpus's own
    split, or for ``all``"""
    notes: tuple[str, ...] = ()
    items: int | None = None
    """approximate number of items that follow, if known"""


Reader = Callable[[Path | None, Path, PrepareOptions], Iterator[Utterance | Rejected | Layout]]
"""``read(source, out, options)`` yields the items of a corpus, always in the same order.

``source`` is None if none was given; a reader that needs one raises UserError. A reader may write
files under ``out`` (the demo corpus writes its audio to ``out / "audio"``), never elsewhere.
"""


def _plain(options: PrepareOptions) -> str:
    del options
    return "plain"


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be prepared: its name, reader, normaliser, and what its publisher says."""

    name: str
    read: Reader
    normalizer_name: Callable[[PrepareOptions], str] = _plain
    """returns the name of the normaliser for its transcripts"""
    makes_recordings: bool = False
    """whether the reader makes the recordings itself, so that there is nothing to check"""
    title: str = ""
    """its full name; empty: only its source has one"""
    licence: str = ""
    """its licence or its terms, as its publisher states them; empty: only its owner knows"""
