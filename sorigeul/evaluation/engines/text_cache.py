"""The texts of an engine so far, in a file of JSON lines that grows by a line for each utterance.

Does not know about engines. The file is one that `evaluate --hyp` reads.
"""

import json
import os
from contextlib import ExitStack
from pathlib import Path

from sorigeul.base.locks import locked_file
from sorigeul.evaluation.engines.engine import Recognized


class TextCache:
    """Texts by utterance, kept in a file while this context is open.

    Only whole lines count: what a killed process left of a line is removed. An utterance without a
    text is not kept, so it is tried again.
    """

    texts: dict[str, Recognized]

    def __init__(self, path: Path) -> None:
        self.path, self.texts = path, {}

    def __enter__(self) -> "TextCache":
        """Read the file, if there is one. Raises UserError if another process writes it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            lock = self.path.with_name(f".{self.path.name}.lock")
            held.enter_context(locked_file(lock, self.path))
            self._file = held.enter_context(self.path.open("a+b", buffering=0))
            self._file.truncate(self._read())
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _read(self) -> int:
        """Read the lines; return the bytes up to the first one that is not whole."""
        end = 0
        self._file.seek(0)
        for line in self._file.read().splitlines(keepends=True):
            try:
                row = json.loads(line)
                one = Recognized(str(row["id"]), str(row["text"]), row["seconds"])
            except (ValueError, RecursionError, KeyError, TypeError):
                break
            if not line.endswith(b"\n"):
                break
            self.texts[one.id] = one
            end += len(line)
        return end

    def add(self, one: Recognized) -> None:
        """Keep the text of an utterance."""
        row = {"id": one.id, "text": one.text, "seconds": one.seconds}
        line = json.dumps(row, ensure_ascii=False) + "\n"
        data = memoryview(line.encode("utf-8", "backslashreplace"))
        while data:
            data = data[os.write(self._file.fileno(), data) :]
        self.texts[one.id] = one
