"""Options of `prepare`, and the share of a corpus that one of several machines prepares."""

import re
import zlib
from dataclasses import dataclass
from typing import Literal

from sorigeul.base.errors import UserError


@dataclass(frozen=True)
class PrepareOptions:
    """How manifests are made from a corpus."""

    text: Literal["pronunciation", "spelling"] = "pronunciation"
    """KsponSpeech only: which side of a dual transcription such as (70%)/(칠십 퍼센트) to keep"""
    seed: int = 0
    """seed of every random choice: the splits, and the voices of the demo corpus"""
    max_duration: float = 35.0
    """in seconds; longer utterances are rejected, and so are those under 0.1 s"""
    dev_share: float = 0.1
    """share of the speech that becomes dev if the corpus has no dev of its own"""
    test_share: float = 0.1
    """share of the speech that becomes test if the corpus has no test of its own"""
    utterances: int = 0
    """demo only: number of utterances to synthesise; 0: as many as ``hours`` needs, else 3,000"""
    hours: float = 0.0
    """demo only: hours of speech to synthesise, accurate to about 2 %"""
    text_file: str = ""
    """demo only: text file of the sentences to synthesise; empty: sentences are made up"""
    shards: int = 0
    """utterances in a Shar archive; 0: no archives, the manifests refer to the original files"""
    shard_format: Literal["flac", "opus"] = "flac"
    """format of the recordings in the archives: 16-bit FLAC, or Opus at about 30 kbit/s"""

    def __post_init__(self) -> None:
        """Raise UserError for values that make no sense."""
        if min(self.dev_share, self.test_share) <= 0 or self.dev_share + self.test_share >= 1:
            raise UserError(
                f"dev_share {self.dev_share} and test_share {self.test_share}: "
                "each must be above 0, and together below 1"
            )
        if self.max_duration <= 0.1:
            raise UserError(f"max_duration {self.max_duration}: must be above 0.1 seconds")
        if self.utterances < 0 or self.hours < 0:
            name = "utterances" if self.utterances < 0 else "hours"
            raise UserError(f"{name} {getattr(self, name):g}: must not be negative")
        if self.utterances and self.hours:
            raise UserError("utterances and hours exclude each other: give one of the two")
        if self.shards < 0:
            raise UserError(f"shards {self.shards}: must be 0 or more utterances in an archive")


@dataclass(frozen=True)
class Shard:
    """The share of a corpus that one of several machines prepares: ``number`` of ``of``."""

    number: int
    """from 1 to ``of``"""
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse ``i/n``, such as ``2/8``; UserError for anything else."""
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"shard {text}: must be i/n, from 1/n to n/n, such as 2/8")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, item: str) -> bool:
        """Whether the item with this id belongs to the share. Every item belongs to exactly one."""
        return zlib.crc32(item.encode("utf-8", "surrogatepass")) % self.of == self.number - 1
