"""Cache of measured durations, so that `prepare` can resume."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sorigeul.corpora.options import Shard

_NAME, _JOURNAL, _FINISHED = "probed", ".journal", ".finished"
_VERSION = 1
"""Increased when `sorigeul.sound.audio.probe` gives another duration for some file."""

CachedDuration = tuple[int, int, float]
"""Size (bytes), modification time (ns) and duration (s) of a recording."""


class DurationCache:
    """Durations measured by earlier calls, and a journal to which this call appends its own."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._file: IO[bytes] | None = None
        self._known: dict[str, CachedDuration] = {}
        for path in _all(journal.parent, _JOURNAL):
            self._known.update(_read(path))

    def __len__(self) -> int:
        return len(self._known)

    def take(self, audio: Path) -> CachedDuration | None:
        """Return the cached duration of ``audio`` and drop it, to save memory on large corpora."""
        return self._known.pop(str(audio), None)

    def add(self, audio: Path, probe: CachedDuration) -> None:
        """Write a line at once, so that it survives whatever ends this process."""
        if self._file is None:
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._journal.open("ab", buffering=0)
            if self._file.tell():
                self._file.write(b"\n")  # the last line may be incomplete
        try:
            self._file.write(json.dumps((_VERSION, str(audio), *probe)).encode() + b"\n")
        except OSError as error:  # Python names no file here
            error.filename = str(self._journal)
            raise

    def finish(self) -> None:
        """Record that this machine's part is measured."""
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        self._journal.with_suffix(_FINISHED).touch()

    def missing(self, parts: int) -> list[str]:
        """Return which of all ``parts`` are not measured yet."""
        out = self._journal.parent
        every = [Shard(number, parts) for number in range(1, parts + 1)]
        return [str(shard) for shard in every if not _place(out, shard, _FINISHED).exists()]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def remove(self) -> None:
        """Remove every journal, now that all durations are in the manifests."""
        self.close()
        for path in (*_all(self._journal.parent, _JOURNAL), *_all(self._journal.parent, _FINISHED)):
            path.unlink()


@contextmanager
def open_duration_cache(out: Path, shard: Shard | None = None) -> Iterator[DurationCache]:
    """Open the journal of this machine's part in ``out``, and read those of all parts."""
    opened = DurationCache(_place(out, shard, _JOURNAL))
    try:
        yield opened
    finally:
        opened.close()


def _place(out: Path, shard: Shard | None, suffix: str) -> Path:
    name = f"{_NAME}-{shard.number}-of-{shard.of}" if shard else _NAME
    return out / f"{name}{suffix}"


def _all(out: Path, suffix: str) -> list[Path]:
    return sorted(out.glob(f"{_NAME}*{suffix}"))


def _read(path: Path) -> Iterator[tuple[str, CachedDuration]]:
    with path.open("rb") as file:
        for line in file:
            try:
                version, audio, size, modified, seconds = json.loads(line)
            except (ValueError, TypeError):  # a line that a killed process left incomplete
                continue
            if version == _VERSION:
                yield audio, (size, modified, seconds)
