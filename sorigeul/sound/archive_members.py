"""Reads a recording out of an archive, at the place of its bytes. Knows nothing of the archive."""

import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from sorigeul.sound.source import AudioError


class ArchiveMember(NamedTuple):
    """A file within a tar or zip file: where its bytes are, and what they are."""

    name: str
    """within the archive; empty if that is not known"""
    offset: int
    """of its first byte in the archive"""
    size: int
    """in bytes, as it was before it was compressed"""
    crc32: int
    compressed_size: int | None = None
    """in bytes, if it is compressed (by Deflate, as in zip files)"""

    def read(self, archive: str | Path, name: str, remedy: str) -> bytes:
        """Return the bytes of the file, decompressed.

        Raises AudioError, with ``name`` for the file, if the archive cannot be read, or if the
        bytes are not the ones that were put there; then it ends with the ``remedy``.
        """
        try:
            with open(archive, "rb") as file:
                file.seek(self.offset)
                content = file.read(self.compressed_size or self.size)
        except OSError as error:
            raise AudioError(f"{name}: cannot be opened ({error.strerror})") from error
        if self.compressed_size is not None:
            content = _inflated(content, self.size)
        if len(content) != self.size or zlib.crc32(content) != self.crc32:
            raise AudioError(f"{name}: damaged, its checksum differs; {remedy}")
        return content


@lru_cache(maxsize=1)  # the parts of a long recording often follow each other
def read_zipped(archive: str | Path, member: ArchiveMember, name: str) -> bytes:
    """Return the bytes of a file in a zip file, as `ArchiveMember.read` does."""
    return member.read(archive, name, "download or copy the archive again")


def _inflated(content: bytes, size: int) -> bytes:
    """What Deflate made of up to ``size`` bytes; what could be decompressed if it is damaged."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, size)
    except zlib.error:
        return b""
