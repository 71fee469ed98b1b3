"""Lines of a live transcript: provisional text is rewritten in place, final text stays."""

import os
import shutil
import sys
import unicodedata
from typing import TextIO

from sorigeul.base.printable import printable

_CLEAR = "\r\x1b[K"  # to the beginning of the line, and clear it (ECMA-48)


class LiveLine:
    """Where a live transcript is shown. Without a terminal there is only what is final."""

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output or sys.stdout
        self.rewrites = self._output.isatty() and os.environ.get("TERM") != "dumb"
        """whether provisional text is shown"""

    def provisional(self, text: str) -> None:
        """Show a text in place of the provisional one before, cut to its last words."""
        if self.rewrites:
            columns = shutil.get_terminal_size().columns
            self._write(_CLEAR + last_columns(printable(text), columns - 1))

    def final(self, text: str) -> None:
        """Show a line that stays, in place of the provisional text."""
        self.clear()
        self._write(printable(text) + "\n")

    def clear(self) -> None:
        """Take the provisional text away, and what Ctrl-C leaves behind."""
        if self.rewrites:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        encoding = self._output.encoding
        self._output.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._output.flush()


def last_columns(text: str, columns: int) -> str:
    """The end of a text, of at most so many columns; "…" stands for what is left out."""
    if sum(map(_columns, text)) <= columns:
        return text
    kept, left = len(text), columns - 1
    while kept and _columns(text[kept - 1]) <= left:
        kept -= 1
        left -= _columns(text[kept])
    return f"…{text[kept:]}" if columns > 0 else ""


def _columns(character: str) -> int:
    """How many columns a terminal gives a character: two for Hangul (Unicode, annex 11)."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
