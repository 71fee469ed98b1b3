"""Options of `prepare`, and the share of a corpus that one of several machines prepares."""

import re
import zlib
from dataclasses import dataclass
from typing import Literal

from sorigeul.base.errors import UserError


@dataclass(frozen=True)
class PrepareOptions:
    """Options of `prepare`."""

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
    utterances: int = 0
    """Demo only: how many utterances to synthesise; 0: as many as ``hours`` says, else 3,000."""
    hours: float = 0.0
    """Demo only: hours of speech to synthesise, within some 2 %."""
    text_file: str = ""
    """Demo only: text file of the sentences to say; none: they are made up."""
    shards: int = 0
    """Utterances in a Shar archive; 0: the manifests refer to the recordings where they are."""
    shard_format: Literal["flac", "opus"] = "flac"
    """Format of the recordings in the archives: 16-bit FLAC, or Opus at some 30 kbit/s."""

    def __post_init__(self) -> None:
        """Refuse settings that leave nothing to train on."""
        if min(self.dev_share, self.test_share) <= 0 or self.dev_share + self.test_share >= 1:
            raise UserError(
                f"dev_share {self.dev_share} and test_share {self.test_share}: "
                "each must be above 0, and together below 1"
            )
        if self.max_duration <= 0.1:
            raise UserError(f"max_duration {self.max_duration}: must be above 0.1 seconds")
        if self.utterances < 0 or self.hours < 0:
            what = "utterances" if self.utterances < 0 else "hours"
            raise UserError(f"{what} {getattr(self, what):g}: must not be negative")
        if self.utterances and self.hours:
            raise UserError("utterances and hours exclude each other: give one of the two")
        if self.shards < 0:
            raise UserError(f"shards {self.shards}: must be 0 or more utterances in an archive")


@dataclass(frozen=True)
class Shard:
    """The share of a corpus that one machine prepares: number ``number`` of ``of`` (`--shard`)."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse ``2/8``; UserError for anything else."""
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise UserError(f"shard {text}: must be i/n, from 1/n to n/n, such as 2/8")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def holds(self, item: str) -> bool:
        """Whether the item with this id is in the share; each item is in exactly one."""
        return zlib.crc32(item.encode("utf-8", "surrogatepass")) % self.of == self.number - 1
