"""Writes recordings to lhotse Shar archives: reading a few large files is faster than many small.

A folder holds ``recording.000000.tar``, with each utterance's recording and its JSON, and
``cuts.000000.jsonl.gz``, with the cuts of these utterances; and so on for the next numbers. Each
cut also says at which offset of the archive its recording starts, its size and its CRC-32
(``custom.member``), so that it can be read without the members before it. Does not know about
splits.
"""

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sorigeul.base.files import replacing
from sorigeul.corpora.lhotse_cuts import archived_recording, cut_line
from sorigeul.corpora.recording_access import RecordingReader
from sorigeul.corpora.utterances import Utterance
from sorigeul.sound.audio import AudioError, Samples
from sorigeul.sound.encoding import encode

Format = Literal["flac", "opus"]

_TAR, _CUTS = "recording.{:06d}.tar", "cuts.{:06d}.jsonl.gz"
_VERSION = 1
"""Increased when the same utterances result in another archive."""


@dataclass(frozen=True)
class Archive:
    """An archive that is to be written: the one with this ``number`` in ``folder``."""

    folder: Path
    number: int
    """from 0"""
    utterances: Sequence[Utterance]
    normalizer: str
    """name and version"""
    format: Format

    def __str__(self) -> str:
        first_and_last = f"{self.utterances[0].id} and {self.utterances[-1].id}"
        return f"{self.folder / _TAR.format(self.number)}, between {first_and_last}"

    @property
    def key(self) -> str:
        """Hash of everything that determines the content: texts, paths, file sizes and dates."""
        content = hashlib.sha256(f"{_VERSION} {self.format}\n".encode())
        for utterance in self.utterances:
            cut = cut_line(utterance, self.normalizer)
            content.update(f"{utterance.size} {utterance.modified} {cut}".encode())
        return content.hexdigest()


class UnreadableRecording(NamedTuple):
    """A recording that cannot be decoded. Its cut names the original file."""

    id: str
    reason: str


def write_archive(archive: Archive) -> list[UnreadableRecording]:
    """Write an archive, unless it exists and nothing in it has changed since.

    Before anything is written to a folder, the folder is renamed, so that nobody reads archives
    that do not belong together. `finish_folder` renames it back. Returns the recordings that cannot
    be decoded.
    """
    key = archive.key
    tar_name, cuts_name = _TAR.format(archive.number), _CUTS.format(archive.number)
    unfinished = _unfinished(archive.folder)
    for folder in (archive.folder, unfinished):
        # A missing or damaged archive is written again.
        with suppress(OSError, EOFError, ValueError, zlib.error, tarfile.TarError):
            unreadable = list(_unreadable_recordings(folder / cuts_name))
            if _stored_key(folder / tar_name) == key:
                return unreadable
    with suppress(FileNotFoundError):  # no such folder, or another process has renamed it
        archive.folder.rename(unfinished)
    cuts = unfinished / cuts_name
    cuts.unlink(missing_ok=True)  # written last: if it exists, the archive is complete
    lines = []
    options: dict[str, Any] = {"format": tarfile.PAX_FORMAT, "pax_headers": {"comment": key}}
    with (
        replacing(unfinished / tar_name) as temporary,
        tarfile.open(temporary, "w", **options) as tar,
        closing(RecordingReader()) as recordings,
    ):
        for utterance in archive.utterances:
            custom = _add_recording(tar, utterance, archive.format, recordings)
            archive_name = tar_name if "member" in custom else ""
            lines.append(cut_line(utterance, archive.normalizer, archive_name, custom))
    with (
        replacing(cuts) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file,  # no name or date: reproducible
    ):
        file.write("".join(lines).encode())
    return list(_unreadable_recordings(cuts))


def finish_folder(folder: Path, archives: int) -> None:
    """Rename a folder back after all its archives have been written, and remove any others."""
    unfinished = _unfinished(folder)
    names = {name.format(number) for number in range(archives) for name in (_TAR, _CUTS)}
    if any(path.name not in names for path in _files(folder)):
        folder.rename(unfinished)
    for path in _files(unfinished):
        if path.name not in names:  # left by a larger corpus, or by a process that was killed
            path.unlink()
    if unfinished.is_dir() and archives:
        unfinished.rename(folder)
    elif unfinished.is_dir():
        unfinished.rmdir()


def _unfinished(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.unfinished")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _stored_key(tar: Path) -> str | None:
    """The key with which an existing archive was written."""
    with tarfile.open(tar) as opened:
        return opened.pax_headers.get("comment")


def _unreadable_recordings(cuts: Path) -> Iterator[UnreadableRecording]:
    with gzip.open(cuts, "rt", encoding="utf-8") as file:
        for cut in map(json.loads, file):
            if "unreadable" in cut["custom"]:
                yield UnreadableRecording(cut["id"], cut["custom"]["unreadable"])


def _add_recording(
    tar: tarfile.TarFile, utterance: Utterance, format: Format, recordings: RecordingReader
) -> dict[str, Any]:
    """Add a recording and its JSON, or lhotse's placeholders if it cannot be decoded.

    Returns the custom fields of its cut.
    """
    try:
        content = _encode(recordings.load(utterance).samples, format)
    except AudioError as error:
        _add_file(tar, f"{utterance.id}.nodata", b"")
        _add_file(tar, f"{utterance.id}.nometa", b"")
        return {"unreadable": str(error)}
    offset = _add_file(tar, f"{utterance.id}.{format}", content)
    fields = json.dumps(archived_recording(utterance, "")).encode()
    _add_file(tar, f"{utterance.id}.json", fields)
    return {"member": {"offset": offset, "size": len(content), "crc32": zlib.crc32(content)}}


def _add_file(tar: tarfile.TarFile, name: str, content: bytes) -> int:
    """Add a file; return the offset of its content in the archive."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    tar.addfile(header, BytesIO(content))
    blocks = -(-len(content) // tarfile.BLOCKSIZE)
    return tar.offset - blocks * tarfile.BLOCKSIZE


def _encode(samples: Samples, format: Format) -> bytes:
    """The recording at 16 kHz, mono. FLAC keeps 16-bit samples exactly and rounds others."""
    return encode(samples) if format == "flac" else _with_serial_number_0(encode(samples, "OGG"))


def _with_serial_number_0(ogg: bytes) -> bytes:
    """The same Ogg stream with serial number 0: libsndfile derives it from the clock. RFC 3533."""
    pages = bytearray(ogg)
    start = 0
    while start < len(pages):
        segments = pages[start + 26]
        end = start + 27 + segments + sum(pages[start + 27 : start + 27 + segments])
        pages[start + 14 : start + 18] = bytes(4)  # serial number
        pages[start + 22 : start + 26] = bytes(4)  # the checksum is computed with itself set to 0
        # Ogg's CRC has the opposite bit order to zlib's, and inverts neither input nor output.
        reversed_page = pages[start:end].translate(_REVERSED_BITS)
        crc = f"{zlib.crc32(reversed_page, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1]
        pages[start + 22 : start + 26] = int(crc, 2).to_bytes(4, "little")
        start = end
    return bytes(pages)


_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Table for ``bytes.translate`` that reverses the bits of each byte."""
