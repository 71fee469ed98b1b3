"""Durations measured before, so that preparing goes on where it was. Knows nothing of corpora."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sorigeul.corpora.options import Shard

_NAME, _JOURNAL, _FINISHED = "probed", ".journal", ".finished"
_VERSION = 1
"""Rises when `sorigeul.sound.audio.probe` comes to another duration for some file."""

CachedDuration = tuple[int, int, float]
"""Size in bytes and time of last change (ns) of a recording, and its duration (s)."""


class DurationCache:
    """The probes of earlier runs, and a journal that those of this one are added to."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._file: IO[bytes] | None = None
        self._known: dict[str, CachedDuration] = {}
        for path in _all(journal.parent, _JOURNAL):
            self._known.update(_read(path))

    def __len__(self) -> int:
        return len(self._known)

    def take(self, audio: Path) -> CachedDuration | None:
        """Return what is known of ``audio``, once: a large corpus leaves no memory to waste."""
        return self._known.pop(str(audio), None)

    def add(self, audio: Path, probe: CachedDuration) -> None:
        """Write a line at once: whatever ends this process, what it measured stays."""
        if self._file is None:
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._journal.open("ab", buffering=0)
            if self._file.tell():
                self._file.write(b"\n")  # the last line may be a half one
        try:
            self._file.write(json.dumps((_VERSION, str(audio), *probe)).encode() + b"\n")
        except OSError as error:  # which names no file
            error.filename = str(self._journal)
            raise

    def finish(self) -> None:
        """Note that this machine's part is measured."""
        self._journal.parent.mkdir(parents=True, exist_ok=True)
        self._journal.with_suffix(_FINISHED).touch()

    def missing(self, parts: int) -> list[str]:
        """Return which of so many parts are not measured yet."""
        out = self._journal.parent
        every = [Shard(number, parts) for number in range(1, parts + 1)]
        return [str(shard) for shard in every if not _place(out, shard, _FINISHED).exists()]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def remove(self) -> None:
        """Remove every journal: all that was measured is in manifests now."""
        self.close()
        for path in (*_all(self._journal.parent, _JOURNAL), *_all(self._journal.parent, _FINISHED)):
            path.unlink()


@contextmanager
def open_duration_cache(out: Path, shard: Shard | None = None) -> Iterator[DurationCache]:
    """Open the journal of this machine's part in ``out``; those of all parts are read."""
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
            except (ValueError, TypeError):  # the end of a run that was killed
                continue
            if version == _VERSION:
                yield audio, (size, modified, seconds)
