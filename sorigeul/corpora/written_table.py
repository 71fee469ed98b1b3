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

    @property
    def content(self) -> str:
        """Its text; empty if there is no table."""
        return self.path.read_text(encoding="utf-8") if self.path.is_file() else ""

    def refuse_to_lose(self) -> None:
        """Raise UserError if it was corrected by hand, or if the folder has another corpus."""
        present = self._hash_of_present()
        if present is None:
            folder = self.path.parent
            if any(path.exists() for path in manifest_paths(folder).values()):
                raise UserError(
                    f"{folder} holds another corpus: choose another place, or --overwrite"
                )
        elif present not in self._written_hashes():
            raise UserError(
                f"{self.path} has been changed since it was written: 'sorigeul prepare table' "
                "makes a corpus of it as it is; --overwrite writes it anew"
            )

    def write(self, content: str) -> None:
        """Write it, and remember that this is what was written."""
        table_hash = hashlib.sha256(content.encode()).hexdigest()
        # That of the table before stays too: it is still there if the new one cannot be written.
        present = self._hash_of_present()
        hashes = [*(one for one in self._written_hashes() if one == present), table_hash]
        write_text(self.memory / _HASH, " ".join(hashes))
        write_text(self.path, content)

    def _hash_of_present(self) -> str | None:
        """The hash of the table that is there, if one is."""
        if not self.path.is_file():
            return None
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def _written_hashes(self) -> list[str]:
        """The hashes of the table that was there, and of the one that was to replace it."""
        path = self.memory / _HASH
        return path.read_text(errors="replace").split() if path.is_file() else []
