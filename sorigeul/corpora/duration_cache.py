"""Cache of what was measured of recordings, so that an interrupted `prepare` can resume.

Each machine appends to a file of its own in the output folder. Does not know about corpora.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from sorigeul.base.files import naming
from sorigeul.corpora.options import Shard
from sorigeul.corpora.sound_faults import SoundFault

_NAME, _CACHE, _FINISHED = "probed", ".journal", ".finished"
_VERSION = 4
"""Increased when another duration or other faults are found in some file."""


class CachedDuration(NamedTuple):
    """What was measured of a recording."""

    size: int
    """in bytes"""
    modified: int
    """time of its last change, in nanoseconds since 1970"""
    duration: float
    """of the whole recording, in seconds"""
    faults: tuple[SoundFault, ...] | None = None
    """of its sound; None if only its header was read"""


class DurationCache:
    """Durations that earlier runs measured, and the file to which this run adds its own."""

    def __init__(self, path: Path) -> None:
        """``path``: the cache file of this machine. Those beside it are read too."""
        self._path = path
        self._file: IO[bytes] | None = None
        self._cached: dict[str, CachedDuration] = {}
        for cache_file in _files(path.parent, _CACHE):
            self._cached.update(_read(cache_file))

    def take(self, name: str) -> CachedDuration | None:
        """Return what is cached under a name and forget it, to save memory on a large corpus."""
        return self._cached.pop(name, None)

    def add(self, name: str, duration: CachedDuration) -> None:
        """Write a line, unbuffered: it must survive however this process ends."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            if self._file.tell():
                self._write(b"\n")  # the last line may be incomplete
        self._write(json.dumps((_VERSION, name, *duration)).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        with naming(self._path):
            self._file.write(line)

    def mark_finished(self) -> None:
        """Record that all recordings in the share of this machine have been measured."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.with_suffix(_FINISHED).touch()

    def unfinished_shards(self, count: int) -> list[str]:
        """Return which of ``count`` shards have not been measured completely, as ``i/count``."""
        shards = [Shard(number, count) for number in range(1, count + 1)]
        out = self._path.parent
        return [str(shard) for shard in shards if not _path(out, shard, _FINISHED).exists()]

    def close(self) -> None:
        """Close the file, if anything was written to it."""
        if self._file is not None:
            self._file.close()

    def remove(self) -> None:
        """Remove all files of the cache, once the manifests hold the durations."""
        self.close()
        for path in (*_files(self._path.parent, _CACHE), *_files(self._path.parent, _FINISHED)):
            path.unlink()


@contextmanager
def open_duration_cache(out: Path, shard: Shard | None = None) -> Iterator[DurationCache]:
    """Open the cache in ``out``. This machine writes to the file of its shard, and reads all."""
    cache = DurationCache(_path(out, shard, _CACHE))
    try:
        yield cache
    finally:
        cache.close()


def _path(out: Path, shard: Shard | None, suffix: str) -> Path:
    name = f"{_NAME}-{shard.number}-of-{shard.of}" if shard else _NAME
    return out / f"{name}{suffix}"


def _files(out: Path, suffix: str) -> list[Path]:
    return sorted(out.glob(f"{_NAME}*{suffix}"))


def _read(path: Path) -> Iterator[tuple[str, CachedDuration]]:
    with path.open("rb") as file:
        for line in file:
            try:
                version, audio, size, modified, seconds, faults = json.loads(line)
            except (ValueError, TypeError):  # an incomplete line of a run that was killed
                continue
            if version == _VERSION:
                if faults is not None:
                    faults = tuple(SoundFault(*fault) for fault in faults)
                yield audio, CachedDuration(size, modified, seconds, faults)
