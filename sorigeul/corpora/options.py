"""Options of `prepare`, and the share of a corpus that one of several machines prepares."""

import re
import zlib
from dataclasses import dataclass
from typing import Annotated, Literal

from sorigeul.base.errors import UserError
from sorigeul.base.ranges import COUNT, COUNT_OR_NONE, check_ranges
from sorigeul.corpora.ranges import HOURS, LONGEST, PART, SPLIT_SEED, SYLLABLE_RATE
from sorigeul.text.normalization import Numbers

CORPORA_OF_OPTIONS = {
    "text": ("kspon", "table", "aihub"),
    "layout": ("aihub",),
    "audio_root": ("table",),
    "utterances": ("demo",),
    "hours": ("demo",),
    "text_file": ("demo",),
}
"""which corpora read an option that not all do; with any other it is refused"""


@dataclass(frozen=True)
class PrepareOptions:
    """How manifests are made from a corpus."""

    text: Literal["", "pronunciation", "spelling"] = ""
    """kspon, aihub and tables: read AI Hub's marks, and keep this side of a dual transcription such
    as (70%)/(칠십 퍼센트); empty: pronunciation for kspon and aihub, texts as they are for
    tables"""
    layout: str = ""
    """aihub only: name or file of the description of the labels, see `LabelLayout`"""
    audio_root: str = ""
    """tables only: folder that holds the recordings now, if the paths in the table are others"""
    numbers: Numbers = "keep"
    """how numbers, units and Latin letters are written in the manifests"""
    punctuation: Literal["auto", "keep", "drop"] = "auto"
    """whether the manifests have the punctuation of the transcripts; auto: unless some transcripts
    end with a full stop and others with a word, see `SentenceEnds`"""
    check: Literal["audio", "header"] = "audio"
    """how far recordings are looked at: decoded as a whole, for what is wrong with the sound; or
    their headers only, for durations"""
    seed: Annotated[int, SPLIT_SEED] = 0
    """seed of every random choice: the splits, and the voices of the demo corpus"""
    max_duration: Annotated[float, LONGEST] = 35.0
    """in seconds; longer utterances are rejected, and so are those under 0.1 s"""
    max_syllable_rate: Annotated[float, SYLLABLE_RATE] = 25.0
    """syllables a second; a transcript that would have to be spoken faster is rejected, since it is
    not of this recording. Fast speech has about 10"""
    dev_share: Annotated[float, PART] = 0.1
    """share of the speech that becomes dev if the corpus has no dev of its own; 0: none"""
    test_share: Annotated[float, PART] = 0.1
    """share of the speech that becomes test if the corpus has no test of its own; 0: none"""
    utterances: Annotated[int, COUNT_OR_NONE] = 0
    """demo only: number of utterances to synthesise; 0: as many as ``hours`` needs, else 3,000"""
    hours: Annotated[float, HOURS] = 0.0
    """demo only: hours of speech to synthesise, accurate to about 2 %"""
    text_file: str = ""
    """demo only: text file of the sentences to synthesise; empty: sentences are made up"""
    shards: Annotated[int, COUNT_OR_NONE] = 0
    """utterances in a Shar archive; 0: no archives, the manifests refer to the original files"""
    shard_format: Literal["flac", "opus"] = "flac"
    """format of the recordings in the archives: 16-bit FLAC, or Opus at about 30 kbit/s"""
    overwrite: bool = False
    """whether a file in the way of a manifest or the report may be replaced, or removed, even if
    ``prepare`` has not written it"""
    jobs: Annotated[int, COUNT] = 1
    """number of processes; what is written does not depend on it"""

    @classmethod
    def for_normalized(cls, normalizer: str, overwrite: bool) -> "PrepareOptions":
        """For a corpus of train alone, of texts as the normaliser of this name has written them.

        They get that name again where it is one of `prepare`'s.
        """
        return cls(
            dev_share=0.0,
            test_share=0.0,
            overwrite=overwrite,
            punctuation="drop" if "unpunctuated" in normalizer else "keep",
            numbers="spoken" if "spoken" in normalizer else "keep",
        )

    @property
    def unwanted_splits(self) -> tuple[str, ...]:
        """The splits that are not to be drawn from train."""
        shares = {"dev": self.dev_share, "test": self.test_share}
        return tuple(split for split, share in shares.items() if not share)

    def __post_init__(self) -> None:
        """Raise UserError for values that make no sense."""
        check_ranges(self)
        if self.dev_share + self.test_share >= 1:
            raise UserError(
                f"dev_share is {self.dev_share} and test_share is {self.test_share}, but together "
                "they must be below 1"
            )
        if self.utterances and self.hours:
            raise UserError("utterances and hours exclude each other: give one of the two")


@dataclass(frozen=True)
class Shard:
    """The share of a corpus that one of several machines prepares: ``number`` of ``of``."""

    number: int
    """from 1 to ``of``"""
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse ``i/n``, such as ``2/8``; UserError for anything else."""
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"shard {text}: must be i/n, from 1/n to n/n, such as 2/8")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, item: str) -> bool:
        """Whether the item with this id belongs to the share. Every item belongs to exactly one."""
        return zlib.crc32(item.encode("utf-8", "surrogatepass")) % self.of == self.number - 1
