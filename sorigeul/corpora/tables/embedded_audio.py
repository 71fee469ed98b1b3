"""Recordings whose bytes are in a table: they become files, since manifests name files."""

import re
from dataclasses import dataclass
from pathlib import Path

from sorigeul.base.files import replacing

_EXTENSION = re.compile(r"\.[a-z0-9]{1,5}")


@dataclass(frozen=True)
class EmbeddedRecording:
    """A recording in a table."""

    content: bytes
    name: str
    """of the file that it was; empty if that is not told"""

    @property
    def extension(self) -> str:
        """The extension of `name` with its dot; empty if it has none."""
        suffix = Path(self.name).suffix.lower()
        return suffix if _EXTENSION.fullmatch(suffix) else ""

    def write(self, path: Path) -> Path:
        """Write the recording to ``path``, unless it is there already, and return ``path``.

        A file that stays keeps its date, so that what was measured of it before is still known.
        """
        if not (path.is_file() and path.read_bytes() == self.content):
            with replacing(path) as temporary:
                temporary.write_bytes(self.content)
        return path
