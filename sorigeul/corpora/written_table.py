"""A table that a command writes, and prepares a corpus of. Users may correct it by hand."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sorigeul.base.errors import UserError
from sorigeul.base.files import write_text
from sorigeul.corpora.corpus_files import manifest_paths

_HASH = "table.sha256"


@dataclass(frozen=True)
class WrittenTable:
    """The table `path`, in the folder of its corpus."""

    path: Path
    memory: Path
    """folder in which the command keeps what it has to know of earlier calls"""

    def refuse_to_lose(self) -> str | None:
        """Raise UserError if it was corrected by hand, or if the folder has another corpus.

        Returns what it holds, or None if there is no table yet.
        """
        if not self.path.is_file():
            folder = self.path.parent
            if any(path.exists() for path in manifest_paths(folder).values()):
                raise UserError(
                    f"{folder} holds another corpus: choose another place, or --overwrite"
                )
            return None
        content = self.path.read_bytes()
        if hashlib.sha256(content).hexdigest() not in self._written_hashes():
            raise UserError(
                f"{self.path} has been changed since it was written: 'sorigeul prepare table' "
                "makes a corpus of it as it is; --overwrite writes it anew"
            )
        return content.decode("utf-8")

    def write(self, content: str) -> None:
        """Write it, and remember that this is what was written."""
        table_hash = hashlib.sha256(content.encode()).hexdigest()
        # That of the table before stays too: it is still there if the new one cannot be written.
        hashes = [*self._written_hashes()[-1:], table_hash]
        write_text(self.memory / _HASH, " ".join(hashes))
        write_text(self.path, content)

    def _written_hashes(self) -> list[str]:
        """The hashes of the last tables that were written, the newest at the end."""
        path = self.memory / _HASH
        return path.read_text().split() if path.is_file() else []
