"""Results of several processes, kept from the first one on, and put in order when all are there.

Knows files and JSON; nothing of what the results are about.
"""

import fcntl
import glob
import json
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing

Row = dict[str, Any]
"""what the output says of one item"""


class ShardResults:
    """What is done of an output: OUT.part-0 and so on, a file a process, a line an item.

    The first line says what the results come from, so that none of another model is taken for
    them. The others hold the place of an item in the output, a blank, and its row. A line that a
    process did not live to finish does not count.
    """

    rows: dict[int, tuple[Path, int]]
    """place of an item -> where its row begins"""
    failures: dict[int, str]
    """place of an item -> its error, where its row holds one"""
    seconds: float
    """of all items that are done"""
    looked: float
    """when the files were last read, by `time.monotonic`"""
    changed: float
    """when that last found anything new"""

    def __init__(
        self, out: Path, rank: int, seconds: Sequence[float], origin: dict[str, str]
    ) -> None:
        """Results for `out` of items that last `seconds` each, from `origin`: name -> hash."""
        self.out, self.rank, self.lengths, self.origin = out, rank, seconds, origin
        self.rows, self.failures, self.seconds = {}, {}, 0.0
        self._taken: dict[Path, int] = {}  # bytes of each file
        self.changed = time.monotonic()
        self.read()
        self._begun, self._seconds_before = self.looked, self.seconds

    def __enter__(self) -> "ShardResults":
        """Open the file of this process. Raises UserError where another has it open."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        path = self.out.with_name(f"{self.out.name}.part-{self.rank}")
        self._file = path.open("ab", buffering=0)
        # A process forked from this one would hold the lock beyond the end of this one.
        os.register_at_fork(after_in_child=self._file.close)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(
                f"{path} is being written by another process: let it finish, or choose another name"
            ) from None
        except OSError:  # a file system that knows no locks
            pass
        self.read()
        self._file.truncate(self._taken[path])  # a line without its end
        if not self._taken[path]:
            self._write(json.dumps(self.origin) + "\n")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def complete(self) -> bool:
        """Whether every item is done."""
        return len(self.rows) == len(self.lengths)

    @property
    def speed(self) -> float:
        """Seconds of items that all processes did in a second, since this was made."""
        return (self.seconds - self._seconds_before) / max(self.looked - self._begun, 1e-9)

    def append(self, places: Sequence[int], rows: Sequence[Row]) -> None:
        """Keep the rows of some items."""
        lines = zip(places, rows, strict=True)
        self._write("".join(f"{at} {json.dumps(row, ensure_ascii=False)}\n" for at, row in lines))

    def _write(self, text: str) -> None:
        # What stands in a path for a byte that is no UTF-8 becomes an escape that JSON knows.
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:  # which names no file
            error.filename = self._file.name
            raise

    def read(self) -> float:
        """Take in what all processes have kept since the last time; return its seconds.

        Raises UserError where it comes from elsewhere.
        """
        before, known = self.seconds, len(self.rows)
        for path in shard_files(self.out):
            at = self._taken.get(path, 0)
            with path.open("rb") as file:
                file.seek(at)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    if at:
                        self._take(path, at, line)
                    else:
                        self._check(path, line)
                    at += len(line)
            self._taken[path] = at
        self.looked = time.monotonic()
        if len(self.rows) > known:
            self.changed = self.looked
        return self.seconds - before

    def _take(self, path: Path, at: int, line: bytes) -> None:
        place, _, text = line.partition(b" ")
        try:
            item, row = int(place), json.loads(text)
        except ValueError:  # damaged: the item is done again
            return
        if item not in self.rows:
            self.seconds += self.lengths[item]
        self.rows[item] = (path, at + len(place) + 1)
        if "error" in row:
            self.failures[item] = row["error"]

    def _check(self, path: Path, line: bytes) -> None:
        try:
            origin = json.loads(line)
        except ValueError:
            origin = {}
        for name, hashed in self.origin.items():
            if origin.get(name) != hashed:
                raise UserError(
                    f"{path} was begun with another {name}: give the one it was begun with, or "
                    f"remove {self.out}.part-* to begin anew"
                )

    def merge(self) -> None:
        """Write the output, its rows in order, and remove the files of the processes."""
        paths = shard_files(self.out)
        with ExitStack() as stack, replacing(self.out) as temporary, temporary.open("wb") as merged:
            files = {path: stack.enter_context(path.open("rb")) for path in paths}
            for item in range(len(self.lengths)):
                path, at = self.rows[item]
                files[path].seek(at)
                merged.write(files[path].readline())
        for path in paths:
            path.unlink()


def shard_files(out: Path) -> list[Path]:
    """The files in which the processes that write `out` keep their results."""
    return sorted(out.parent.glob(f"{glob.escape(out.name)}.part-*"))
