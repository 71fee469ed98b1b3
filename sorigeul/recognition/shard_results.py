"""Result files of several processes (OUT.part-N), which can be resumed and merged into OUT.

Does not know what the results are about.
"""

import glob
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sorigeul.base.errors import UserError
from sorigeul.base.files import replacing
from sorigeul.base.locks import locked_file

Row = dict[str, Any]
"""the result for one item: a line of the output, as JSON"""


class ShardResults:
    """The results so far for the output OUT: one file for each process, OUT.part-0 and so on.

    The first line of a file holds what the results depend on, so that those of another model are
    not mixed in. Every other line holds the position of an item in the output, a space, and its
    row. A last line without its end, from a process that was killed, does not count.
    """

    rows: dict[int, tuple[Path, int]]
    """position of an item -> file and byte offset of its row"""
    failures: dict[int, str]
    """position of an item whose row has an error -> that error"""
    seconds: float
    """total seconds of the items that are done"""
    read_at: float
    """time of the last `read`, by `time.monotonic`"""
    progress_at: float
    """time of the last `read` that found new results"""

    def __init__(
        self, out: Path, rank: int, durations: Sequence[float], inputs: dict[str, str]
    ) -> None:
        """Results for `out`, of which the process `rank` writes its own.

        `durations` are those of all items in seconds. `inputs` is what the results depend on, by
        name: the hash of the model, for example. Raises UserError if there are results that depend
        on something else.
        """
        self.out, self.rank, self.durations, self.inputs = out, rank, durations, inputs
        self.rows, self.failures, self.seconds = {}, {}, 0.0
        self._read_bytes: dict[Path, int] = {}
        self.progress_at = time.monotonic()
        self.read()
        self._started_at, self._seconds_at_start = self.read_at, self.seconds

    def __enter__(self) -> "ShardResults":
        """Open the file of this process. Raises UserError if another process has it open."""
        self.out.parent.mkdir(parents=True, exist_ok=True)
        path = self.out.with_name(f"{self.out.name}.part-{self.rank}")
        with ExitStack() as held:
            held.enter_context(locked_file(self._lock_path(self.rank), path))
            self._file = held.enter_context(path.open("ab", buffering=0))
            self.read()
            self._file.truncate(self._read_bytes[path])  # removes a last line without its end
            if not self._read_bytes[path]:
                self._write(json.dumps(self.inputs) + "\n")
            self._held = held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def complete(self) -> bool:
        """Whether every item is done."""
        return len(self.rows) == len(self.durations)

    @property
    def speed(self) -> float:
        """Seconds of items per second of time: all processes together, since this was created."""
        elapsed = self.read_at - self._started_at
        return (self.seconds - self._seconds_at_start) / max(elapsed, 1e-9)

    def append(self, positions: Sequence[int], rows: Sequence[Row]) -> None:
        """Write the rows of some items to the file of this process."""
        lines = [
            f"{position} {json.dumps(row, ensure_ascii=False)}\n"
            for position, row in zip(positions, rows, strict=True)
        ]
        self._write("".join(lines))

    def _write(self, text: str) -> None:
        # Bytes of a path that are not UTF-8 are surrogates in `text`. Escaped, they are valid JSON.
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while data:
                data = data[self._file.write(data) :]
        except OSError as error:  # without the name of the file
            error.filename = self._file.name
            raise

    def read(self) -> float:
        """Read what all processes have written since the last time; return its seconds.

        Raises UserError if it depends on something else than the results of this process.
        """
        seconds_before, rows_before = self.seconds, len(self.rows)
        for path in shard_files(self.out):
            offset = self._read_bytes.get(path, 0)
            with path.open("rb") as file:
                file.seek(offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    if offset:
                        self._read_row(path, offset, line)
                    else:
                        self._check_inputs(path, line)
                    offset += len(line)
            self._read_bytes[path] = offset
        self.read_at = time.monotonic()
        if len(self.rows) > rows_before:
            self.progress_at = self.read_at
        return self.seconds - seconds_before

    def _read_row(self, path: Path, offset: int, line: bytes) -> None:
        """Note where a row is; nothing of a damaged line, whose item is done again."""
        position, _, content = line.partition(b" ")
        try:
            item, row = int(position), json.loads(content)
        except (ValueError, RecursionError):
            return
        if not (0 <= item < len(self.durations) and isinstance(row, dict)):
            return
        if item not in self.rows:
            self.seconds += self.durations[item]
        self.rows[item] = (path, offset + len(position) + 1)
        if "error" in row:
            self.failures[item] = row["error"]

    def _check_inputs(self, path: Path, line: bytes) -> None:
        try:
            written = dict(json.loads(line))
        except (ValueError, TypeError, RecursionError):
            written = {}
        for name in {**self.inputs, **written}:
            if written.get(name) != self.inputs.get(name):
                raise UserError(
                    f"{path} was begun with another {name}: give the one it was begun with, or "
                    f"remove {self.out}.part-* to begin anew"
                )

    def merge(self) -> None:
        """Write the output, with its rows in order, and remove the files of the processes."""
        paths = shard_files(self.out)
        with ExitStack() as stack, replacing(self.out) as temporary, temporary.open("wb") as merged:
            files = {path: stack.enter_context(path.open("rb")) for path in paths}
            for item in range(len(self.durations)):
                path, offset = self.rows[item]
                files[path].seek(offset)
                merged.write(files[path].readline())
        own_lock = self._lock_path(self.rank)
        locks = self.out.parent.glob(glob.escape(self._lock_path("").name) + "*")
        for path in (*paths, *(lock for lock in locks if lock != own_lock)):  # of killed processes
            path.unlink(missing_ok=True)

    def _lock_path(self, rank: int | str) -> Path:
        return self.out.with_name(f".{self.out.name}.lock-{rank}")


def shard_files(out: Path) -> list[Path]:
    """The files with the results of all processes for the output `out`."""
    return sorted(out.parent.glob(f"{glob.escape(out.name)}.part-*"))
